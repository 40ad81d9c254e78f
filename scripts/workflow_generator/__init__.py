"""Writes the shipped workflows and blueprints from one description of each graph.

`graphs` describes them with the classes of `model` and the nodes of `parts`; `layout` places nodes, frames and links,
`note` the note beside them; `forms` and `blueprint` write the files that the API, the editor and its node library read.
`scripts/workflows.py` is the command.
"""
