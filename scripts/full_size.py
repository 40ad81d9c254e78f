"""Run the shipped workflow once at SDXL's full size, on the CPU: `python3 scripts/full_size.py`.

Writes a checkpoint with real SDXL's exact layout and a FaceID file with the real one's shapes, both with random
weights (8 GB on the disk, kept for the next time), loads them through the shipped workflow and runs a few steps
at 256 px. Prints the server's peak memory and the time of an evaluation. Takes 22 GiB of memory and about ten
minutes; not part of the tests.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

# Python puts this file's own folder on the path, not the clone's.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts import comfyui, demo, environment
from scripts.comfy_server import Workflow

FOLDER = environment.ROOT / ".comfyui" / "full_size"
# As miniature.full_size writes them; it cannot be imported here, outside the environment.
CHECKPOINT = "sdxl_random.safetensors"
ADAPTER = "ip-adapter-faceid_sdxl_random.bin"
SIDE = 256
SMALLER = "from PIL import Image; import sys; Image.open(sys.argv[1]).resize((256, 256)).save(sys.argv[2])"


def provide_files(python: Path, code: Path) -> None:
    """Write checkpoint and adapter unless they are there."""
    paths = [FOLDER / "checkpoints" / CHECKPOINT, FOLDER / "ipadapter" / ADAPTER]
    if not all(path.is_file() for path in paths):
        child = {**comfyui.child_environment(code), "PYTHONPATH": str(environment.ROOT)}
        environment.run([python, "-m", "miniature.full_size", FOLDER], child)


def peak_memory(process_id: int) -> int:
    """Largest resident size of a process so far, bytes (Linux)."""
    status = Path(f"/proc/{process_id}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main() -> int:
    """Set everything up, run once and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=2, help="steps of the inversion and of the generation")
    steps = parser.parse_args().steps
    python, code, _ = demo.prepare()
    provide_files(python, code)
    with tempfile.TemporaryDirectory() as temporary, demo.running_server(FOLDER) as server:
        portrait = Path(temporary) / "portrait.png"
        environment.run([python, "-c", SMALLER, demo.SAMPLE, portrait])
        files = {**demo.MINIATURE, "checkpoint": CHECKPOINT, "adapter": ADAPTER}
        names = {demo.REPLACEABLE[option]: name for option, name in files.items()}
        workflow: Workflow = json.loads(demo.WORKFLOW.read_text(encoding="utf-8"))
        workflow = demo.fill_in(workflow, server.upload(portrait, "full_size.png"), names)
        for node in workflow.values():
            if node["class_type"] == "DPMSolverInversion":
                node["inputs"]["steps"] = steps
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
