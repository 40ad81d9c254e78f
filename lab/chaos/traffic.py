"""What a batch sends over the network besides photographs and results: `python -m lab.chaos.traffic --photos 20`.

A batch of small photographs on one real server with the miniature, through a proxy that counts.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

# Networks this small finish before a second thread wakes up.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from batch.outputs import STEM

from .photographs import write_photographs
from .stage import Stage, quick_workflow, servers


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.chaos.traffic", description=__doc__)
    parser.add_argument("--photos", type=int, default=20, help="number of photographs (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the people (default: %(default)s)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="traffic-", ignore_cleanup_errors=True) as name:
        print(json.dumps(measure(Path(name), options.photos, options.seed)))
    return 0


def measure(folder: Path, photos: int, seed: int) -> dict[str, float]:
    """Run a batch and count.

    Args:
        folder: for everything.
        photos: number of photographs.
        seed: of the people.

    Returns:
        "jobs" (copies are one job); "requests_a_job"; "sent_a_job" and "received_a_job", bytes without those of the
        photographs and the results.

    Raises:
        RuntimeError: the batch was interrupted or did not begin.
    """
    inputs, scratch = folder / "photographs", folder / "scratch"
    write_photographs(inputs, seed, photos)
    contents = {path.read_bytes() for path in inputs.iterdir()}
    scratch.mkdir()
    with servers(folder, 1) as [backend]:
        stage = Stage([backend], inputs, scratch, scratch)
        stage.write(quick_workflow())
        client = stage.start_client()
        client.communicate()
        proxy = backend.proxy
    pictures = list((scratch / "results").glob(f"{STEM}-*.png"))
    if not pictures:
        raise RuntimeError(f"the batch ended with {client.returncode} and made nothing")
    jobs = len(contents)
    return {
        "jobs": jobs,
        "requests_a_job": round(proxy.requests / jobs, 1),
        "sent_a_job": round((proxy.sent - sum(map(len, contents))) / jobs),
        "received_a_job": round((proxy.received - sum(path.stat().st_size for path in pictures)) / jobs),
    }


if __name__ == "__main__":
    sys.exit(main())
