"""Trains the miniature: `python -m lab.training`. The module of each part has a recipe with all its numbers."""
