"""Photographs made to break the pack, what it makes of them, and a judge who knows what was drawn.

`cases` draws them, `pipeline` runs them through the nodes in the host's own executor, `judging` compares the
saved files with the truth, `summary` counts. Command line: `python -m lab.hostile --help`.
"""
