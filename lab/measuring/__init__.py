"""Measures what the method does, on the miniature, to people whom no training saw: `python -m lab.measuring`."""
