"""Training of the miniature's parts: `python -m lab.training` runs it all, `recipe` has every number of it."""
