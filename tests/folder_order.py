"""The order of the folders: which may import which. CONTRIBUTING.md explains it."""

from __future__ import annotations

# A folder may import itself and the folders of earlier rows; those of one row do not import each other. "." is the
# repository's root, that is the pack's __init__.py.
ORDER = (
    ("reverse_personalization", "harness", "install.py"),
    ("reverse_personalization/fingerprinting",),
    ("reverse_personalization/photographs",),
    ("reverse_personalization/geometry",),
    ("reverse_personalization/method",),
    ("reverse_personalization/assurance",),
    ("batch",),
    ("host",),
    ("nodes",),
    (".",),
    ("evaluate",),
    ("miniature",),
    ("lab",),
    ("lab/render",),
    ("lab/training",),
    ("lab/measuring",),
    ("lab/measure",),
    ("lab/paper",),
    ("lab/patches",),
    ("lab/real",),
    ("lab/hostile",),
    ("lab/device",),
    ("lab/chaos",),
    ("lab/clients",),
    ("bench",),
    ("scripts/workflow_generator",),
    ("scripts",),
    ("tests",),
)

ROWS = {folder: number for number, row in enumerate(ORDER) for folder in row}
"""Of each folder the number of its row."""
