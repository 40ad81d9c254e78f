"""The base class of the pack's errors, which gives them a name that does not depend on where the pack is installed."""

from __future__ import annotations

PUBLIC_MODULE = "reverse_personalization"
"""Module name that the pack's errors show."""


class PackError(Exception):
    """Base of all error classes that the pack defines.

    ComfyUI reports an error to its client by module and class, and the module name of a custom node pack is the pack's
    path on the server. Subclasses get `PUBLIC_MODULE` instead.
    """

    __module__ = PUBLIC_MODULE

    def __init_subclass__(cls) -> None:
        """Give the class its public name."""
        super().__init_subclass__()
        cls.__module__ = PUBLIC_MODULE
