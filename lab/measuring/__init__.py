"""What the miniature does to people whom no training saw: `python -m lab.measuring` runs it all."""
