"""Files that are kept in the server's memory and never on its disk: photographs to come and results to fetch.

Who queues work through the API can so leave nothing behind: a photograph is gone when it is deleted, when nobody has
used it for a while, or when the server ends.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ..reverse_personalization.errors import NoRoomError, NotKeptError

LONGEST_FILE = 1 << 29
"""Bytes of the largest file that is kept."""

MOST_BYTES = 1 << 31
"""Bytes that the files of one shelf take together."""

LIFETIME = 6 * 3600.0
"""Seconds after its last use for which a file is kept."""


@dataclass(frozen=True)
class KeptFile:
    """A file in memory.

    Attributes:
        content: its bytes. Not shown, because the host writes what a node got into its errors.
        media_type: such as "image/png".
    """

    content: bytes = field(repr=False)
    media_type: str


class Shelf:
    """Files in memory under names that nobody can guess.

    Args:
        prefix: of the names.
        most_bytes: that they take together.
        lifetime: seconds after its last use for which a file is kept.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        prefix: str,
        most_bytes: int = MOST_BYTES,
        lifetime: float = LIFETIME,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.prefix = prefix
        self._most_bytes, self._lifetime, self._clock = most_bytes, lifetime, clock
        # The host runs graphs in one thread and answers requests in another.
        self._lock = threading.Lock()
        self._files: dict[str, tuple[float, KeptFile]] = {}

    def takes(self, name: str) -> bool:
        """Whether a file may have this name: the prefix and 32 hexadecimal digits."""
        return re.fullmatch(re.escape(self.prefix) + "[0-9a-f]{32}", name) is not None

    def put(self, content: bytes, media_type: str, name: str | None = None) -> str:
        """Keep a file and return its name.

        Args:
            content: the file's bytes.
            media_type: such as "image/png".
            name: that the shelf takes; a file of that name is replaced. None for a new random one.

        Raises:
            NoRoomError: it does not fit.
        """
        with self._lock:
            self._forget_the_unused()
            name = name or f"{self.prefix}{secrets.token_hex(16)}"
            taken = sum(len(file.content) for other, (_, file) in self._files.items() if other != name)
            if taken + len(content) > self._most_bytes:
                raise NoRoomError(
                    f"{len(content):,} bytes do not fit beside the {taken:,} that are kept; the limit is "
                    f"{self._most_bytes:,}. Delete what is no longer needed, or send fewer at a time"
                )
            self._files[name] = (self._clock(), KeptFile(content, media_type))
            return name

    def get(self, name: str) -> KeptFile:
        """A file, which counts as used now.

        Raises:
            NotKeptError: there is none of that name, or no longer.
        """
        with self._lock:
            self._forget_the_unused()
            if name not in self._files:
                raise NotKeptError(
                    "the file is not in the server's memory: it was deleted, nobody used it for "
                    f"{self._lifetime / 3600:g} hours, or the server has been started again. Send it again"
                )
            _, file = self._files[name]
            self._files[name] = (self._clock(), file)
            return file

    def holds(self, name: str) -> bool:
        """Whether there is a file of that name; it does not count as used."""
        with self._lock:
            self._forget_the_unused()
            return name in self._files

    def count(self) -> int:
        """How many files there are."""
        with self._lock:
            self._forget_the_unused()
            return len(self._files)

    def room(self) -> int:
        """How many bytes still fit."""
        with self._lock:
            self._forget_the_unused()
            return self._most_bytes - sum(len(file.content) for _, file in self._files.values())

    def remove(self, name: str) -> None:
        """Forget a file, if there is one of that name."""
        with self._lock:
            self._files.pop(name, None)

    def _forget_the_unused(self) -> None:
        oldest = self._clock() - self._lifetime
        self._files = {name: kept for name, kept in self._files.items() if kept[0] >= oldest}


PHOTOGRAPHS = Shelf("photograph-")
RESULTS = Shelf("")
