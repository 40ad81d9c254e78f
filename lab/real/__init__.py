"""Real photographs and real models for measuring the pack; nothing of it is shipped.

`python -m lab.real fetch` gets and converts them, `python -m lab.real finds` stores what the detector finds, and
`python -m lab.real measure --json` measures.
"""
