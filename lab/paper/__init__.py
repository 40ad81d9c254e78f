"""The paper's comparisons on the miniature: `python -m lab.paper --seed S --faces N --out DIR`.

`pictures` writes folders of originals and results, `parts` what `evaluate` needs to judge them, and the command runs
`evaluate` on both.
"""
