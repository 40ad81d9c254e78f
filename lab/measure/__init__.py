"""Compares ways of running the method on the same people: `python -m lab.measure`.

`ways` says what the ways are, `person` measures one result, `comparison` puts the people's numbers together.
"""
