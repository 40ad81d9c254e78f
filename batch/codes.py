"""What can become of a photograph: its status, and the code that says why. A code never changes its meaning."""

from __future__ import annotations

from dataclasses import dataclass

from reverse_personalization.errors import CODES, OUT_OF_MEMORY

ANONYMISED, COVERED, BLOCKED, FAILED = STATUSES = ("anonymised", "covered", "blocked", "failed")
"""How an input ends, best first."""

INTERRUPTED = "interrupted"

SAVED = (ANONYMISED, COVERED)
"""Statuses of inputs that have a picture."""

NO_FACE = CODES["NoFaceError"]
UNSAFE_FACE = CODES["UnsafeFaceError"]
UNHANDLED = "unhandled"

BLOCKING = frozenset({NO_FACE, UNSAFE_FACE})
"""Codes of errors with which the pack refuses to save a picture."""

PASSING = frozenset({CODES["NotKeptError"], CODES["NotSavedError"], OUT_OF_MEMORY, INTERRUPTED})
"""Codes of errors that another try, or another server, may not meet."""

UNUSABLE = frozenset({CODES["MissingModelError"], CODES["AdapterFileError"]})
"""Codes of errors that every photograph meets on that server."""

SAVED_CODES = {
    "anonymised": (ANONYMISED, "every face was changed"),
    "covered": (COVERED, "at least one face is covered"),
    NO_FACE: (ANONYMISED, "nobody was found, and the workflow saves such pictures"),
    UNHANDLED: (ANONYMISED, "at least one face was kept as it was, because the workflow allows it"),
}
"""Status and sentence of what Save Anonymized Image says of a saved picture; its word is the code."""

NOT_KEPT = CODES["NotKeptError"]
UNREADABLE = CODES["UnreadablePhotographError"]
CHANGED = "changed"

TRIED_AGAIN = frozenset({UNREADABLE, CHANGED})
"""Codes of photographs that were never sent, so that the next run tries them again; the first has other causes too."""

TOO_LARGE = "too_large"
SERVER_DIED = "server_died"
TIMEOUT = "timeout"
WRONG_ANSWER = "wrong_answer"
NO_SERVER = "no_server"
NOT_REACHED = "not_reached"
NO_ROOM = "no_room"
UNDECIDED = "undecided"


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
