"""Runs the shipped workflow once at SDXL's full size, on the CPU: `python3 scripts/full_size.py`.

Writes a checkpoint in the exact layout of SDXL's and a FaceID file in the shapes of the real one, both with random
weights (8 GB on disk, kept for the next run), loads them through the shipped workflow and runs a few steps at
256 px. Prints the server's peak memory and the time of an evaluation. It takes 22 GiB of memory and about ten minutes;
it is not part of the tests.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

# Python puts this file's own folder on the path, not the clone's.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import comfyui, environment
from harness.workflow import SHIPPED_FILES, fill_in, read_shipped, with_inputs
from miniature.layout import FULL_SIZE_ADAPTER, FULL_SIZE_CHECKPOINT
from miniature.server import prepare, running_server
from miniature.workflow import MINIATURE
from scripts.demo import SAMPLE, WORKFLOW

FOLDER = environment.ROOT / ".comfyui" / "full_size"
SIDE = 256


def provide_files(python: Path, code: Path, folder: Path = FOLDER) -> None:
    """Write the checkpoint and the adapter into a models folder unless they are there."""
    paths = [folder / FULL_SIZE_CHECKPOINT, folder / FULL_SIZE_ADAPTER]
    if not all(path.is_file() for path in paths):
        child = {**comfyui.child_environment(code), "PYTHONPATH": str(environment.ROOT)}
        environment.run([python, "-m", "miniature.full_size", folder], child)


def peak_memory(process_id: int) -> int:
    """The most memory that a process has occupied so far, in bytes (Linux)."""
    status = Path(f"/proc/{process_id}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main() -> int:
    """Set everything up, run once and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--steps", type=int, default=2, help="steps of the inversion and of the generation each (default: %(default)s)"
    )
    steps = parser.parse_args().steps
    python, code, _ = prepare()
    provide_files(python, code)
    with running_server(FOLDER) as server:
        files = {**MINIATURE, "checkpoint": FULL_SIZE_CHECKPOINT.name, "adapter": FULL_SIZE_ADAPTER.name}
        names = {SHIPPED_FILES[option]: name for option, name in files.items()}
        workflow = with_inputs(
            read_shipped(WORKFLOW), DPMSolverInversion={"steps": steps}, ReverseIdentityFaceCrop={"side": SIDE}
        )
        workflow = fill_in(workflow, server.upload(SAMPLE, "full_size.png"), names)
        started = time.monotonic()
        history = server.run(workflow, timeout=7200)
        elapsed = time.monotonic() - started
        [picture] = server.image_files(history)
        gibibytes = peak_memory(server.process.pid) / 2**30
    print(f"{steps} + {2 * steps} evaluations at {SIDE} px, with loading, encoding and decoding: {elapsed:.0f} s")
    print(f"peak memory of the server: {gibibytes:.1f} GiB")
    print(f"Picture: {picture}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except environment.SetupError as error:
        sys.exit(f"error: {error}")
