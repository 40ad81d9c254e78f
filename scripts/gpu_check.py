"""Checks on this machine's GPU that the edit is exact, and measures what it costs there.

    .venv/bin/python -m scripts.gpu_check                        on the miniature
    .venv/bin/python -m scripts.gpu_check --full-size --json     also time and memory at SDXL's sizes (8 GB on disk)
    python3 -m scripts.gpu_check                                 any Python that has ComfyUI's packages; see COMFYUI

Edits the same latents in float32 on the CPU, in each precision on the device and in the host's memory modes, each in a
ComfyUI with the options of its command line, but without its server. Prints one Markdown table and exits with 1 if a
limit is not kept. Needs no network, no model but the miniature and no InsightFace; COMFYUI names the host's folder.
Without CUDA the CPU takes the device's place: there, bfloat16 and float16 are those of the weights alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from harness.comfyui import comfyui_folder
from harness.environment import SetupError
from lab.device.edits import Checked, CheckJob, EditJob, Inputs, QualitiesJob
from lab.device.findings import (
    FLOAT32,
    PRECISIONS,
    Row,
    failed,
    full_size_rows,
    mode_name,
    mode_row,
    precision_rows,
    quality_rows,
)
from lab.device.full_size import FullSizeJob
from lab.device.jobs import JobError, Runner, run_apart
from lab.measuring.report import table
from miniature.layout import WEIGHTS
from reverse_personalization.method.quality import EXACT, QUALITIES
from scripts.full_size import FOLDER, provide_files

ON_CPU = ("--cpu",)
MODES = (("--disable-dynamic-vram",), ("--lowvram",), ("--novram",), ("--highvram",))
"""Memory modes of the host; by default it streams weights to the GPU as it needs them (dynamic VRAM)."""

FULL_SIZE_MODES: dict[str, tuple[str, ...]] = {"default": (), "--novram": ("--novram",)}


class Check:
    """Runs all checks and collects their rows.

    Attributes:
        device: in the host's words, once it has edited there.

    Args:
        run: runs a job.
        models: models folder in ComfyUI's layout.
        steps: of the exact quality.
        cuda: whether the device is a GPU; else it is the CPU.
    """

    def __init__(self, run: Runner, models: Path, steps: int, *, cuda: bool) -> None:
        self._run = run
        self._models = models
        self._steps = steps
        self._cuda = cuda
        self._options = () if cuda else ON_CPU
        self.device = "CUDA" if cuda else "CPU"

    def rows(self) -> Iterator[Row]:
        """All rows on the miniature.

        Raises:
            JobError: the CPU itself cannot edit, so that there is nothing to compare with.
        """
        inputs, reference = self._run(EditJob((*ON_CPU, FLOAT32.option), self._models, self._steps))
        expected: Tensor | None = None
        for precision in PRECISIONS:
            options = (*self._options, precision.option)
            try:
                checked: Checked = self._run(CheckJob(options, self._models, self._steps, inputs, precision.name))
            except JobError as failure:
                yield self._failed(precision.name, failure)
                continue
            self.device = checked.device
            if precision is FLOAT32:
                expected = checked.edited
            yield from precision_rows(precision, checked, reference)
        if self._cuda and expected is not None:
            yield from self._mode_rows(inputs, expected)
        try:
            job = QualitiesJob((*self._options, FLOAT32.option), self._models, self._steps, inputs)
            yield from quality_rows(self._run(job), self._steps, reference, has_tf32=self._cuda)
        except JobError as failure:
            yield self._failed("fast and exact", failure)

    def full_size_rows(self, files: Path, side: int) -> Iterator[Row]:
        """Rows at full size.

        Args:
            files: folder that `miniature.full_size` has written.
            side: of the picture in pixels.
        """
        for name, options in FULL_SIZE_MODES.items() if self._cuda else [("CPU", ON_CPU)]:
            try:
                yield from full_size_rows(name, self._run(FullSizeJob(options, files, side)))
            except JobError as failure:
                yield self._failed(f"full size, {name}", failure)

    def _mode_rows(self, inputs: Inputs, expected: Tensor) -> Iterator[Row]:
        for mode in MODES:
            try:
                _, edited = self._run(EditJob((*mode, FLOAT32.option), self._models, self._steps, inputs))
                yield mode_row(mode, edited, expected)
            except JobError as failure:
                yield self._failed(mode_name(mode), failure)

    @staticmethod
    def _failed(check: str, failure: JobError) -> Row:
        print(failure, file=sys.stderr, flush=True)
        return failed(check)


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line's options, checked."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.gpu_check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=QUALITIES[EXACT].steps,
        help="steps of the exact quality, 2 or more (default: %(default)s)",
    )
    parser.add_argument(
        "--models", type=Path, default=WEIGHTS, metavar="DIR", help="models folder (default: the shipped weights)"
    )
    parser.add_argument("--full-size", action="store_true", help="measure at SDXL's full size too, on random weights")
    parser.add_argument(
        "--files",
        type=Path,
        default=FOLDER,
        metavar="DIR",
        help="where `python -m miniature.full_size DIR` wrote, or is to write, the files at full size "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--side", type=int, default=1024, help="of the picture at full size, in pixels (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print all figures as JSON in the last line")
    options = parser.parse_args(arguments)
    # The jobs run in another folder.
    options.models, options.files = options.models.resolve(), options.files.resolve()
    if options.steps < 2:
        parser.error(f"--steps {options.steps}: the solver needs 2 steps or more")
    if options.side < 64 or options.side % 64:
        parser.error(f"--side {options.side}: expected a multiple of 64")
    return options


def main(arguments: Sequence[str] | None = None, run: Runner = run_apart) -> int:
    """Run the command line.

    Args:
        arguments: the arguments; by default those of the process.
        run: runs a job.

    Returns:
        1 if a limit is not kept, else 0.
    """
    options = options_of(arguments)
    cuda = torch.cuda.is_available()
    check = Check(run, options.models, options.steps, cuda=cuda)
    rows = list(check.rows())
    if options.full_size:
        provide_files(Path(sys.executable), comfyui_folder(), options.files)
        rows += check.full_size_rows(options.files, options.side)
    print(table([f"{check.device}, {options.steps} steps", "figure", "limit", "kept"], [row.cells() for row in rows]))
    if not cuda:
        print("\nNo CUDA: the CPU took the device's place, and the memory modes did not run.")
    if options.json:
        figures = {"device": check.device, "torch": torch.__version__, "steps": options.steps}
        print(json.dumps({**figures, "rows": [row.as_json() for row in rows]}, allow_nan=False), flush=True)
    return int(not all(row.kept for row in rows))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (SetupError, JobError) as error:
        sys.exit(f"error: {error}")
