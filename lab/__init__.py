"""Makes the miniature and tests the pack. The pack itself imports nothing from here.

`render` draws people with complete ground truth, `training` trains the miniature's models on them, `measuring` runs
the method on people that no training saw, `paper` makes the paper's tables of it, `patches` applies every patch that
the host ships, `real` fetches real detectors, recognisers and lists of real pictures, and measures the pack on them,
and `hostile` draws photographs meant to break the pack and judges what it saves. Each is a command, such as
`python -m lab.render --help`. Each may import only those named before it.
"""
