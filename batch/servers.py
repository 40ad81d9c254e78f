"""The servers of a batch: which of them answer, which lost a job, and when to try them again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from .client import Client, GoneError, NoRoomError, ServerLostError
from .own_server import OwnServerError, StartedServer
from .workflow import SAVER

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds between two tries to reach a server; the pause doubles."""

MOST_STARTS = 3
"""How often in a row a ComfyUI of our own may fail to start."""


class UnusableError(RuntimeError):
    """A server answers, but cannot do what the batch needs; or a server of our own does not start."""


class Server:
    """One server of a batch. Threads share it.

    Args:
        client: talks to it; for a server of our own a new one after each start.
        own: the process, if the command started it.
        answer_within: seconds after which it counts as hung.

    Attributes:
        life: how often it has come back; a job that was sent in an earlier life is lost with that.
        answers: whether it did when it was last asked.
        unusable: why nothing is sent to it any more, or "".
    """

    def __init__(self, url: str, answer_within: float, own: StartedServer | None = None) -> None:
        self.own = own
        self.client = Client(url, answer_within)
        self.life = 0
        self.answers = False
        self.unusable = ""
        self._answer_within = answer_within
        self._lock = threading.RLock()
        self._reviving = threading.Lock()
        self._restart = True

    @property
    def name(self) -> str:
        """How it is called in messages."""
        return self.own.name if self.own else self.client.url

    def ready(self, over: Callable[[], bool], on_return: Callable[[], None]) -> bool:
        """Wait until the server answers; False if it is unusable or there is nothing to wait for any more.

        Args:
            over: whether to wait no longer.
            on_return: called when it answers again, before anything is sent to it.
        """
        with self._reviving:
            pause, starts = FIRST_PAUSE, 0
            while not (over() or self.unusable):
                if self.answers:
                    return True
                try:
                    if self.own is not None and (self._restart or not self.own.runs()):
                        starts += 1
                        self.own.start(over)
                        self._restart = False
                        self.client = self.own.client(self._answer_within)
                        if over():
                            break
                    self._greet()
                    on_return()
                except OwnServerError as error:
                    if starts >= MOST_STARTS:
                        self.unusable = str(error)
                except UnusableError as error:
                    self.unusable = str(error)
                except (ServerLostError, GoneError, NoRoomError):
                    self._restart = True
                else:
                    with self._lock:
                        self.life += 1
                        self.answers = True
                    continue
                _sleep(pause, over)
                pause = min(2 * pause, LONGEST_PAUSE)
        return False

    def lost(self, life: int) -> None:
        """The server died or hung with a job that it got in that life; others may notice when it is already back."""
        with self._lock:
            if life == self.life:
                self.answers = False

    def suspect(self) -> None:
        """Something of ours is still on the server: send it nothing before that is seen to."""
        with self._lock:
            self.answers = False

    def hung(self) -> None:
        """The server does not end what it works on: one of our own is started again."""
        with self._lock:
            self.answers = False
            self._restart = True

    def drop(self, why: str) -> None:
        """Send nothing to this server any more."""
        self.unusable = why
        self.answers = False

    def _greet(self) -> None:
        """See whether the server has this pack.

        Raises:
            UnusableError: it does not, or an older one.
        """
        node = self.client.node(SAVER)
        inputs = {} if node is None else node.get("input", {})
        if not any("destination" in group for group in inputs.values()):
            has = "does not have this pack" if node is None else "has an older version of this pack"
            raise UnusableError(f"{self.name} {has}: install or update it there, and start that ComfyUI again")


def _sleep(seconds: float, over: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not over() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))
