"""Compares methods of anonymisation on folders of pictures, as the paper's tables do: `python -m evaluate --help`.

`pairing` says which pictures belong together, `faces` finds and recognises people, `declaration` and `estimators` run
the models that the user declares, `measures` compares each result with its original, `summary` puts the numbers
together, and `tables`, `files` and `plots` write them.
"""
