"""Shows that a photograph gets the same bytes however it is run: `python -m lab.chaos.agreement`.

Real servers with the miniature run the shipped workflow for groups: alone through `POST /prompt`; through the batch
command on the same server, on another one, on both at once, on one of its own, and on a local Ray cluster. Pictures and
reports are compared byte by byte.
"""

from __future__ import annotations

import os

# Networks this small finish before a second thread wakes up; the servers inherit this.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import hashlib
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from batch.manifest import FILE as MANIFEST
from batch.workflow import prepare
from harness.comfyui import child_environment, comfyui_folder
from harness.environment import ROOT
from harness.server import ComfyServer
from harness.workflow import Workflow, node_of, read_shipped, with_inputs
from lab.measuring.report import table
from lab.render.scene import draw_scene, draw_scene_spec
from miniature.workflow import on_miniature

from .stage import servers

WIDTH, HEIGHT, PEOPLE = 320, 256, 2
"""Of a photograph."""

ALONE, FIRST, SECOND, BOTH, OWN, RAY = WAYS = (
    "alone, POST /prompt",
    "batch, the same server",
    "batch, another server",
    "batch, both servers",
    "batch, a server of its own",
    "batch, Ray cluster",
)

RAY_SERVERS = 2

Sums = dict[str, tuple[str, str]]
"""By the photograph's name the sha256 of its picture, and of its report but for where the picture was put."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 1 if the ways do not agree."""
    parser = argparse.ArgumentParser(prog="python -m lab.chaos.agreement", description=__doc__)
    parser.add_argument("--photos", type=int, default=3, help="number of photographs (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the people (default: %(default)s)")
    parser.add_argument("--way", action="append", choices=WAYS, help="only these ways; may be repeated")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="agreement-", ignore_cleanup_errors=True) as name:
        found = measure(Path(name), options.photos, options.seed, options.way or WAYS)
    print(as_table(found))
    return int(not agree(found))


def measure(
    folder: Path, photographs: int, seed: int, ways: Iterable[str] = WAYS, workflow: Workflow | None = None
) -> dict[str, Sums]:
    """Run the photographs in each way.

    Args:
        folder: empty; for everything.
        photographs: how many.
        seed: of the people.
        ways: of WAYS.
        workflow: for one photograph; None for the shipped one for groups, on the miniature.

    Raises:
        RuntimeError: one was not anonymised.
    """
    inputs = folder / "photographs"
    inputs.mkdir()
    for number in range(photographs):
        scene = draw_scene(draw_scene_spec(seed + number, HEIGHT, WIDTH, split="test", people=PEOPLE))
        Image.fromarray(scene.image).save(inputs / f"{number}.png")
    workflow = workflow or on_miniature(read_shipped("group-photo"))
    (folder / "workflow.json").write_text(json.dumps(workflow), encoding="utf-8")
    chosen = list(ways)
    found: dict[str, Sums] = {}
    with servers(folder, 2) as [first, second]:
        beside = {
            FIRST: ["--server", first.proxy.url],
            SECOND: ["--server", second.proxy.url],
            # One job at a time each, so that both have something to do.
            BOTH: ["--server", first.proxy.url, "--server", second.proxy.url, "--in-flight", "1"],
        }
        if ALONE in chosen:
            found[ALONE] = _alone(first.server, inputs, workflow)
        for way in (FIRST, SECOND, BOTH):
            if way in chosen:
                found[way] = _batch(folder, inputs, way, beside[way])
        own = shlex.join(["--cpu", "--disable-api-nodes", "--base-directory", str(first.server.base_directory)])
    cluster = ("--engine", "ray", "--ray-servers", str(min(RAY_SERVERS, photographs)), "--in-flight", "1")
    for way, engine in ((OWN, ()), (RAY, cluster)):
        if way in chosen:
            found[way] = _batch(folder, inputs, way, [f"--comfyui-args={own}", *engine])
    return found


def agree(found: Mapping[str, Sums]) -> bool:
    """Whether all ways made the same pictures and reports, and different photographs different ones."""
    first, *others = found.values()
    return all(other == first for other in others) and len({picture for picture, _ in first.values()}) == len(first)


def as_table(found: Mapping[str, Sums]) -> str:
    """The beginnings of all sums: the picture's and the report's of each photograph."""
    names = list(next(iter(found.values())))
    rows = [(way, *(f"{sums[name][0][:12]} {sums[name][1][:12]}" for name in names)) for way, sums in found.items()]
    return table(["way", *(f"photograph {number}" for number in range(1, len(names) + 1))], rows)


def _alone(server: ComfyServer, inputs: Path, workflow: Workflow) -> Sums:
    """Each photograph by itself, with nothing of an earlier one in the server's cache."""
    sums = {}
    for path in sorted(inputs.iterdir()):
        prepared = prepare(workflow)
        graph = prepared.on(server.upload(path, path.name))
        graph = with_inputs(graph, ReverseIdentitySaveImage={"destination": "output folder"})
        server.free()
        history = server.run(graph, timeout=3600)
        [picture] = server.image_files(history)
        sums[path.name] = _sum(picture.read_bytes()), _sum_of_report(picture.with_suffix(".json"))
        [saved] = history["outputs"][node_of(graph, "ReverseIdentitySaveImage")]["anonymised"]
        if saved["file"]["sha256"] != sums[path.name][0]:
            raise RuntimeError("the history names another picture than lies in the output folder")
    return sums


def _batch(folder: Path, inputs: Path, way: str, where: Sequence[str]) -> Sums:
    """All photographs through the batch command."""
    out = folder / way.replace(" ", "-")
    command = [sys.executable, str(ROOT / "batch"), str(inputs), "--out", str(out), "--quiet", *where]
    ran = subprocess.run(
        [*command, "--workflow", str(folder / "workflow.json")],
        capture_output=True,
        text=True,
        check=False,
        env=child_environment(comfyui_folder()),
    )
    if ran.returncode != 0:
        raise RuntimeError(f"{way}: the batch command ended with {ran.returncode}: {ran.stdout}{ran.stderr}")
    sums = {}
    for line in (out / MANIFEST).read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        picture, report = (out / entry[key] for key in ("output", "report"))
        sums[Path(entry["input"]).name] = _sum(picture.read_bytes()), _sum_of_report(report)
    return sums


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sum_of_report(path: Path) -> str:
    report = json.loads(path.read_text(encoding="utf-8"))
    for node in report["settings"]:
        # A report says how it was made, and so whether the server or the batch command put it there.
        node["inputs"].pop("destination", None)
    return _sum(json.dumps(report, sort_keys=True).encode())


if __name__ == "__main__":
    sys.exit(main())
