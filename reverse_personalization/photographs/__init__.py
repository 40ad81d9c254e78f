"""Reads photographs as people see them: upright, in sRGB, with all their precision."""
