"""What is broken while a batch runs. Each fault strikes once and mends what it can."""

from __future__ import annotations

import errno
import random
import signal
import time
from collections.abc import Callable

from .proxy import Mood
from .stage import ANSWER_WITHIN, Stage

Fault = Callable[[Stage, random.Random], None]

DAY = 86400.0


def kill_client(stage: Stage, chance: random.Random) -> None:
    """End the client at once."""
    if stage.client is not None:
        stage.client.send_signal(signal.SIGKILL)
        stage.client.wait()


def kill_server(stage: Stage, chance: random.Random) -> None:
    """End a server at once; it comes back after a while."""
    backend = chance.choice(stage.backends)
    backend.kill()
    time.sleep(chance.uniform(0, 4))
    backend.start()


def kill_both(stage: Stage, chance: random.Random) -> None:
    """End the client and a server at once."""
    backend = chance.choice(stage.backends)
    for victim in chance.sample([lambda: kill_client(stage, chance), backend.kill], 2):
        victim()
    backend.start()


def fill_disk(stage: Stage, chance: random.Random) -> None:
    """Leave no room for results for a while."""
    filler = stage.out / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    time.sleep(chance.uniform(1, 4))
    filler.unlink()


def hang_server(stage: Stage, chance: random.Random) -> None:
    """Let a server stop answering for longer than the client waits."""
    backend = chance.choice(stage.backends)
    backend.freeze()
    time.sleep(ANSWER_WITHIN + chance.uniform(1, 4))
    backend.thaw()


def cut_uploads(stage: Stage, chance: random.Random) -> None:
    """Cut uploads short for a while."""
    _change_mood(stage, chance, Mood.CUT_UPLOADS)


def answer_with_errors(stage: Stage, chance: random.Random) -> None:
    """Answer every request with HTTP 500 for a while."""
    _change_mood(stage, chance, Mood.FAIL)


def jump_clock(stage: Stage, chance: random.Random) -> None:
    """Let the client's clock jump, forth or back."""
    stage.clock_file.write_text(f"{chance.uniform(-DAY, DAY):.0f}", encoding="utf-8")


def _change_mood(stage: Stage, chance: random.Random, mood: Mood) -> None:
    backend = chance.choice(stage.backends)
    backend.proxy.mood = mood
    time.sleep(chance.uniform(1, 4))
    backend.proxy.mood = Mood.PASS


FAULTS: dict[str, Fault] = {
    "client killed": kill_client,
    "server killed": kill_server,
    "client and server killed": kill_both,
    "disk full": fill_disk,
    "server hangs": hang_server,
    "uploads cut short": cut_uploads,
    "server answers 500": answer_with_errors,
    "clock jumps": jump_clock,
}
