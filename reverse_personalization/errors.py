"""The pack's error classes and the codes that programs tell them by."""

from __future__ import annotations

PUBLIC_MODULE = "reverse_personalization"
"""Module name that the pack's errors show."""

WRONG_INPUT, OUT_OF_MEMORY, FAILED = "wrong_input", "out_of_memory", "failed"

CODES = {
    "NoFaceError": "no_face",
    "UnsafeFaceError": "unsafe_face",
    "UnreadablePhotographError": "unreadable_photograph",
    "UnreadableProfileError": "unreadable_photograph",
    "NotKeptError": "not_kept",
    "NotSavedError": "not_saved",
    "NoRoomError": "not_saved",
    "MissingModelError": "missing_model",
    "AdapterFileError": "damaged_model",
    "UndigestibleError": WRONG_INPUT,
    "NoPathError": WRONG_INPUT,
}
"""Code of each of the pack's error classes. A code never changes its meaning."""

HOST_CODES = {
    "ValueError": WRONG_INPUT,
    "TypeError": WRONG_INPUT,
    "MemoryError": OUT_OF_MEMORY,
    "OutOfMemoryError": OUT_OF_MEMORY,
}
"""Codes of other classes that a node may raise; of all that are not named it is FAILED."""


class PackError(Exception):
    """Base of all error classes that the pack defines.

    ComfyUI reports an error to its client by module and class, and the module name of a custom node pack is the pack's
    path on the server. Subclasses get `PUBLIC_MODULE` instead, and must have a code in CODES.
    """

    __module__ = PUBLIC_MODULE

    def __init_subclass__(cls) -> None:
        """Give the class its public name."""
        super().__init_subclass__()
        if cls.__name__ not in CODES:
            raise TypeError(f"{cls.__name__} has no code; add one to CODES")
        cls.__module__ = PUBLIC_MODULE


class NoFaceError(PackError, ValueError):
    """Nobody was found in a picture, so nothing could be changed or checked there."""


class UnsafeFaceError(PackError, ValueError):
    """A face is neither anonymised nor covered."""


class NotKeptError(PackError, ValueError):
    """A photograph is not, or no longer, in the server's memory."""


class NotSavedError(PackError, RuntimeError):
    """A checked picture could not be written."""


class NoRoomError(PackError, RuntimeError):
    """A file does not fit beside those that are kept in the server's memory."""


class MissingModelError(PackError, FileNotFoundError):
    """A model is not where the pack looks for it."""


def code_of(exception_type: str) -> str:
    """The code of an error as ComfyUI reports it.

    Args:
        exception_type: name of its class, with or without its module, such as "reverse_personalization.NoFaceError".

    Returns:
        A value of CODES, WRONG_INPUT, OUT_OF_MEMORY or FAILED.
    """
    name = exception_type.rpartition(".")[2]
    return CODES.get(name) or HOST_CODES.get(name, FAILED)
