"""Training of the miniature's parts: `python -m miniature.train` runs it all, `recipe` has every number of it."""
