"""Photographs made to break the pack, and a judge of the results who knows what was drawn.

`cases` draws them, `pipeline` runs them through the nodes in the host's own executor, `judging` compares the
saved files with the truth, `summary` counts. `search` does without the rest of the graph. Commands:
`python -m lab.hostile --help` and `python -m lab.hostile.search --help`.
"""
