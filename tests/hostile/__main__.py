"""Make hostile photographs, run them through the pack, judge what was saved: `python -m tests.hostile`."""

from __future__ import annotations

import os

# Networks this small are done before a second thread has woken up; several workers share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from .cases import HUGE_KIND, cases, draw_case
from .judging import PhotoRecord
from .summary import as_page, summarise


def run_share(
    seed: int, photographs: int, share: int, shares: int, models: Path
) -> tuple[list[PhotoRecord], float, str]:
    """Every `shares`-th case from number `share` on: its records, the judge's threshold and name."""
    import torch

    from .judging import Judge
    from .pipeline import Options, Pipeline, known_models

    torch.set_num_threads(1)
    records = []
    with known_models(models):
        pipeline, options = Pipeline(), Options()
        judge = Judge(options.checker)
        for number, left in cases(photographs):
            if number % shares != share:
                continue
            case = draw_case(seed, number, left)
            started = time.perf_counter()
            # Of a huge photograph every copy is half a gigabyte.
            run = pipeline.run(case, replace(options, compared=case.kind != HUGE_KIND))
            made = judge.judge(case, run, time.perf_counter() - started)
            for file in run.files:
                file.unlink()
            records += made
            for record in made:
                print(_line(record), file=sys.stderr, flush=True)
    return records, judge.threshold, judge.name


def run_all(seed: int, photographs: int, workers: int, models: Path) -> Iterator[tuple[list[PhotoRecord], float, str]]:
    """The shares of all workers."""
    if workers == 1:
        yield run_share(seed, photographs, 0, 1, models)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        tasks = [pool.submit(run_share, seed, photographs, share, workers, models) for share in range(workers)]
        for task in tasks:
            yield task.result()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 1 if a face left unprotected or a pixel changed that should not have."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of people and pictures")
    parser.add_argument("--photos", type=int, default=20, help="how many photographs")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--models", type=Path, help="models folder in ComfyUI's layout; by default the shipped weights")
    parser.add_argument("--json", action="store_true", help="print the figures as one last line of JSON")
    parser.add_argument("--report", type=Path, help="Markdown file to write, and JSON with every photograph beside it")
    options = parser.parse_args(arguments)
    from .pipeline import provide_models

    started = time.perf_counter()
    temporary = Path(tempfile.mkdtemp(prefix="hostile-models-"))
    try:
        models = options.models or provide_models(temporary)
        shares = list(run_all(options.seed, options.photos, options.workers, models))
    finally:
        shutil.rmtree(temporary)
    records = sorted((record for share, _, _ in shares for record in share), key=lambda record: record.case)
    _, threshold, judge = shares[0]
    figures = summarise(records, threshold, judge, time.perf_counter() - started)
    if options.report:
        command = f"python -m tests.hostile --seed {options.seed} --photos {options.photos}"
        options.report.write_text(as_page(figures, command), encoding="utf-8")
        whole = {"seed": options.seed, **figures, "records": [record.as_json() for record in records]}
        options.report.with_suffix(".json").write_text(json.dumps(whole) + "\n", encoding="utf-8")
    if options.json:
        print(json.dumps(figures))
    else:
        print(as_page(figures, f"python -m tests.hostile --seed {options.seed} --photos {options.photos}"))
    wrong = ("unprotected_faces", "unhandled_faces", "outside_pixels_changed", "leaks", "accepted", "lost")
    return int(any(figures[name] for name in wrong))


def _line(record: PhotoRecord) -> str:
    faces = ", ".join(
        f"{face.size:.0f}px {face.found or 'missed'} {face.status}{' UNPROTECTED' if face.unprotected else ''}"
        for face in record.faces
    )
    return f"{record.case} {record.kind}: {record.outcome} {record.seconds:.1f} s; {faces} {record.error}"


if __name__ == "__main__":
    sys.exit(main())
