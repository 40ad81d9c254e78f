"""Runs a ComfyUI for as long as the process that asked for it lives, and leaves nothing of it on the disk.

`python keeper.py FOLDER COMMAND...`: the asking process holds the other end of this one's standard input. When that
closes, even because the asker was killed, ComfyUI is ended and FOLDER deleted. Standard library only.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

LOG = "server.log"
END_WITHIN = 10.0
"""Seconds that ComfyUI gets to end on request."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit code."""
    folder, command = Path(arguments[0]), arguments[1:]
    # Ctrl+C is for the asker, which says when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with (folder / LOG).open("ab") as log:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    released = threading.Event()

    def wait_for_release() -> None:
        sys.stdin.buffer.read()
        released.set()
        end(child)

    threading.Thread(target=wait_for_release, daemon=True).start()
    code = child.wait()
    if released.is_set():
        shutil.rmtree(folder, ignore_errors=True)
    return code


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, by force if it does not end on request."""
    process.terminate()
    try:
        process.wait(timeout=END_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
