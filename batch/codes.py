"""What can become of a photograph: its status, and the code that says why. A code never changes its meaning."""

from __future__ import annotations

from dataclasses import dataclass

ANONYMISED, COVERED, BLOCKED, FAILED = STATUSES = ("anonymised", "covered", "blocked", "failed")
"""How an input ends, best first."""

SAVED = (ANONYMISED, COVERED)
"""Statuses of inputs that have a picture."""

BLOCKING = frozenset({"no_face", "unsafe_face"})
"""Codes of errors with which the pack refuses to save a picture."""

PASSING = frozenset({"not_kept", "not_saved", "out_of_memory", "interrupted"})
"""Codes of errors that another try, or another server, may not meet."""

UNUSABLE = frozenset({"missing_model", "damaged_model"})
"""Codes of errors that every photograph meets on that server."""

SAVED_CODES = {
    "anonymised": (ANONYMISED, "every face was changed"),
    "covered": (COVERED, "at least one face is covered"),
    "no_face": (ANONYMISED, "nobody was found, and the workflow saves such pictures"),
    "unhandled": (ANONYMISED, "at least one face was kept as it was, because the workflow allows it"),
}
"""Status and sentence of what Save Anonymized Image says of a saved picture; its word is the code."""

UNREADABLE = "unreadable_photograph"
CHANGED = "changed"
TOO_LARGE = "too_large"
SERVER_DIED = "server_died"
TIMEOUT = "timeout"
WRONG_ANSWER = "wrong_answer"
NO_SERVER = "no_server"
NOT_REACHED = "not_reached"
NO_ROOM = "no_room"


_CLASSES = {
    "NoFaceError": "no_face",
    "UnsafeFaceError": "unsafe_face",
    "UnreadablePhotographError": UNREADABLE,
    "NotKeptError": "not_kept",
    "NotSavedError": "not_saved",
    "MissingModelError": "missing_model",
    "OutOfMemoryError": "out_of_memory",
    "MemoryError": "out_of_memory",
    "ValueError": "wrong_input",
    "TypeError": "wrong_input",
}


def code_of(exception_type: str) -> str:
    """The code of an error as ComfyUI reports it, by the name of its class."""
    # Stands in for reverse_personalization.errors.code_of until that is here.
    return _CLASSES.get(exception_type.rpartition(".")[2], FAILED)


@dataclass(frozen=True)
class Outcome:
    """What became of a photograph.

    Attributes:
        status: one of STATUSES.
        code: why.
        sentence: the same for people; names no file.
        faces: how many were found, or None if nobody counted.
    """

    status: str
    code: str
    sentence: str
    faces: int | None = None


def failed(code: str, sentence: str) -> Outcome:
    """The outcome of a photograph that could not be done."""
    return Outcome(FAILED, code, sentence)


def refused(code: str, sentence: str) -> Outcome:
    """The outcome of a photograph on which a node raised an error: blocked if the pack refused to save it."""
    return Outcome(BLOCKED if code in BLOCKING else FAILED, code, " ".join(sentence.split()))
