"""The commands of this repository: `python3 scripts/demo.py` and `python3 scripts/test.py`."""
