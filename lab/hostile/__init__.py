"""Photographs made to break the pack, and a judge that knows what was drawn.

`cases` draws them, `pipeline` runs them through the nodes in the host's own executor, `judging` compares the
saved files with the truth, `summary` counts. `search` runs the face search without the rest of the graph. Commands:
`python -m lab.hostile --help` and `python -m lab.hostile.search --help`.
"""
