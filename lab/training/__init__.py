"""Trains the miniature: `python -m lab.training`. Every part's module has a recipe with all its numbers."""
