"""Measures the method on the miniature, with people that no training saw: `python -m lab.measuring`."""
