"""A ComfyUI that is a fake server, for tests of who starts and ends it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from batch.own_server import PREFIX
from harness.environment import ROOT

MAIN = f"""
import json, os, sys, time
sys.path.insert(0, {str(ROOT)!r})
from tests.batch.fake_server import FakeServer

def after(name):
    return sys.argv[sys.argv.index(name) + 1]

with open(os.environ["STARTS"], "a") as starts:
    starts.write(json.dumps({{"pid": os.getpid(), "argv": sys.argv[1:],
                              "no_previews": os.environ["REVERSE_PERSONALIZATION_NO_PREVIEWS"]}}) + "\\n")
if "--refuse" in sys.argv:
    sys.exit("no such model folder")
open(os.path.join(after("--temp-directory"), "temp", "private"), "w").close()
server = FakeServer(int(after("--port")))
while server.alive:
    time.sleep(0.02)
"""


def folders(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "temporary").glob(f"{PREFIX}*"))


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def wait_until(true) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
