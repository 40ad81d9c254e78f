"""Laboratory: what draws, trains and measures, and is not shipped with the pack."""
