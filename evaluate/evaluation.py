"""Runs an evaluation: looks at all pictures, compares them, and writes the report."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.whole_text import write_whole

from .faces import Observers, Seen, read_picture
from .files import REPORT_FILE, as_json, write_files
from .measures import Table, compared, measures_of, threshold_of
from .pairing import GALLERY, ORIGINALS, Pictures
from .published import PublishedNumber
from .summary import Summary, distributions, group_failures, means, paired_tests
from .tables import report

PROGRESS = 20
"""Pictures between two lines of progress."""


def evaluate(
    observers: Observers,
    pictures: Pictures,
    rate: float,
    published: Sequence[PublishedNumber],
    out: Path,
    command: str,
) -> dict[str, Any]:
    """Measure everything and write the report.

    Args:
        observers: all models, open.
        pictures: to compare.
        rate: share of pairs of different people that a judge may match, in (0, 1).
        published: numbers of others, to print beside.
        out: folder for the report; files of its names are replaced.
        command: to name in the report.

    Returns:
        All figures, see `files.as_json`.

    Raises:
        OSError: a picture cannot be read, or a file cannot be written.
        ValueError: a picture is none, or too few show a face.
        RuntimeError: a model's answer cannot be used.
    """
    # Only plots need it. If it is missing, fail before the long part.
    from .plots import write_plots

    originals = look(observers, pictures.originals, ORIGINALS)
    gallery = look(observers, pictures.gallery, GALLERY)
    thresholds = {
        judge.name: threshold_of(judge.name, originals, gallery, pictures, rate) for judge in observers.judges
    }
    tables: dict[str, Table] = {}
    apart = {}
    for method, files in pictures.results.items():
        results = look(observers, files, method)
        tables[method] = compared(observers, pictures, thresholds, originals, gallery, results)
        apart[method] = distributions(observers, pictures.people, originals, results)
    measures = measures_of(observers, bool(gallery))
    reference = compared(observers, pictures, thresholds, originals, gallery, originals)
    summary = Summary(
        measures=measures,
        thresholds=thresholds,
        methods={method: means(table, measures) for method, table in {ORIGINALS: reference, **tables}.items()},
        distributions=apart,
        tests=paired_tests(tables, measures),
        groups=group_failures(observers, originals, tables),
    )
    figures = as_json(summary, observers, pictures, published, command)
    write_files(out, figures, tables, summary)
    write_plots(summary, tables, out)
    write_whole(out / REPORT_FILE, report(summary, observers, pictures, published, command) + "\n")
    return figures


def look(observers: Observers, files: Mapping[str, Path], what: str) -> dict[str, Seen]:
    """Look at pictures with all models; what they are goes to standard error as progress.

    Raises:
        OSError, ValueError, RuntimeError: a picture cannot be read, or a model's answer cannot be used.
    """
    seen = {}
    for number, (stem, file) in enumerate(files.items(), start=1):
        try:
            picture = read_picture(file)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
        seen[stem] = observers.see(picture)
        if number % PROGRESS == 0 or number == len(files):
            print(f"{what}: {number} of {len(files)} pictures", file=sys.stderr, flush=True)
    return seen
