"""Where the miniature comes from, and where the pack is judged. The pack itself imports nothing from here.

`render` draws people of whom everything is known, `training` makes the miniature's models from them, `measuring` runs
the method on people whom no training saw, `patches` applies every patch that the host ships, and `hostile` draws
photographs meant to break the pack and judges what it saves. Each is a command: `python -m lab.render --help`, and so
on. In this order each may import those before it.
"""
