"""What the pack's own errors share: a public name that does not depend on where the pack is installed."""

from __future__ import annotations

PUBLIC_MODULE = "reverse_personalization"
"""Module that the pack's own errors name as theirs."""


class PackError(Exception):
    """Base of all classes of errors that the pack defines.

    ComfyUI names an error to its client by module and class, and the module of a custom node pack is the pack's path on
    the server. Subclasses are given `PUBLIC_MODULE` instead.
    """

    __module__ = PUBLIC_MODULE

    def __init_subclass__(cls) -> None:
        """Give the class its public name."""
        super().__init_subclass__()
        cls.__module__ = PUBLIC_MODULE
