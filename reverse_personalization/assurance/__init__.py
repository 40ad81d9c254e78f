"""Makes sure that nobody leaves recognisable: checking, retrying, covering, reporting and saving."""
