"""Writes the numbers as JSON and CSV. Neither holds an embedding or what was read from an original."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.whole_text import write_whole

from .faces import Observers
from .measures import Table
from .pairing import Pictures
from .published import PublishedNumber
from .summary import Summary

JSON_FILE, REPORT_FILE = "evaluation.json", "report.md"
PICTURES_FILE, METHODS_FILE, TESTS_FILE, GROUPS_FILE = "pictures.csv", "methods.csv", "tests.csv", "groups.csv"


def as_json(
    summary: Summary,
    observers: Observers,
    pictures: Pictures,
    published: Sequence[PublishedNumber],
    command: str,
) -> dict[str, Any]:
    """All figures as JSON; None stands for what could not be measured."""
    return {
        "command": command,
        "detector": {"name": observers.detector.name, "sha256": observers.detector_sha256},
        "guide": observers.guide or None,
        "judges": {
            judge.name: {"sha256": judge.sha256, **asdict(summary.thresholds[judge.name])} for judge in observers.judges
        },
        "pictures": {
            "originals": len(pictures.originals),
            "people": len({pictures.people[stem] for stem in pictures.originals}),
            "gallery": len(pictures.gallery),
            "results": {method: len(found) for method, found in pictures.results.items()},
            "unpaired": {name: list(stems) for name, stems in pictures.unpaired.items()},
        },
        "measures": [asdict(measure) for measure in summary.measures],
        "methods": {
            method: {name: asdict(one) for name, one in row.items()} for method, row in summary.methods.items()
        },
        "distributions": {
            method: [{**asdict(one), "singular": one.singular} for one in row]
            for method, row in summary.distributions.items()
        },
        "tests": [asdict(one) for one in summary.tests],
        "groups": [asdict(one) for one in summary.groups],
        "published": [asdict(one) for one in published],
    }


def write_files(out: Path, figures: Mapping[str, Any], tables: Mapping[str, Table], summary: Summary) -> None:
    """Write all numbers into a folder.

    Args:
        out: the folder; it is created if necessary.
        figures: of `as_json`.
        tables: by method, the measures of each result.
        summary: of these.

    Raises:
        OSError: a file cannot be written.
    """
    write_whole(out / JSON_FILE, json.dumps(figures, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    names = [measure.name for measure in summary.measures]
    rows: list[list[object]] = [["method", "stem", *names]]
    for method, table in tables.items():
        for place, stem in enumerate(table.stems):
            rows.append([method, stem, *(_number(float(table.values[name][place])) for name in names)])
    _write(out / PICTURES_FILE, rows)
    rows = [["method", *(f"{name}{end}" for name in names for end in ("", ", low", ", high", ", count"))]]
    for method, measured in summary.methods.items():
        rows.append([method, *(value for name in names for value in asdict(measured[name]).values())])
    _write(out / METHODS_FILE, rows)
    rows = [["measure", "first", "second", "test", "people", "first less second", "p", "corrected"]]
    for one in summary.tests:
        test = one.test
        rows.append([one.measure, one.one, one.other, test.name, test.people, test.difference, test.p, one.corrected])
    _write(out / TESTS_FILE, rows)
    rows = [["group", "label", "method", "judge", "re-identified", "low", "high", "count"]]
    for group in summary.groups:
        rows.append([group.group, group.label, group.method, group.judge, *asdict(group.share).values()])
    _write(out / GROUPS_FILE, rows)


def _write(file: Path, rows: Sequence[Sequence[object]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_whole(file, text.getvalue())


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
