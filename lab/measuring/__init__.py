"""What the miniature does to people whom no training saw: `python -m miniature.measure` runs it all."""
