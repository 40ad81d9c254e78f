"""Compares ways of running the method on the same people: `python -m lab.measure --seed S --faces N --ways exact,fast`.

Besides what `lab.measuring` measures, it tells whether a change is one of the face or fools a recogniser only: whether
the person is known again after the picture is purified, and how plausible the face is to the denoiser.
"""

from __future__ import annotations

import os

# Several processes share the cores, and a second thread waits by computing.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from miniature.layout import WEIGHTS

from ..journal import JsonLines
from ..measuring.__main__ import open_meter
from ..measuring.readings import FaceMeter
from ..measuring.runs import note
from ..measuring.settings import Settings
from .comparison import figures_of, tables
from .journals import run_of
from .person import Row, Studio
from .ways import Way, choices, ways_of


def main(arguments: Sequence[str] | None = None, meter_of: Callable[[Path], FaceMeter] = open_meter) -> None:
    """Run the command line.

    Args:
        arguments: the arguments; by default those of the process.
        meter_of: opens the meter of a models folder.
    """
    parser = argparse.ArgumentParser(prog="python -m lab.measure", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the people; another seed draws other people (default: %(default)s)"
    )
    parser.add_argument("--faces", type=int, default=40, help="number of people, at least 2 (default: %(default)s)")
    parser.add_argument(
        "--ways",
        default="exact,fast",
        metavar="NAME,NAME",
        help=f"ways to compare with the first one: {choices()} (default: %(default)s)",
    )
    parser.add_argument(
        "--attributes",
        action="store_true",
        help="also ask for an attribute and keep age and sex: three runs of a way on each person instead of one",
    )
    parser.add_argument(
        "--models", type=Path, default=WEIGHTS, metavar="DIR", help="models folder (default: the shipped weights)"
    )
    parser.add_argument("--journal", type=Path, metavar="FILE", help="records every result, to resume a stopped run")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON in the last line")
    options = parser.parse_args(arguments)
    try:
        settings = Settings(options.seed, options.faces)
        ways = ways_of(options.ways)
    except ValueError as error:
        parser.error(str(error))
    with tempfile.TemporaryDirectory(prefix="measure-") as temporary:
        run = {**run_of(options.seed, options.models), "attributes": options.attributes}
        journal = JsonLines(options.journal or Path(temporary, "journal"), run)
        rows = measure(settings, ways, options.models, meter_of, journal, options.attributes)
    figures = {"seed": options.seed, "faces": options.faces, **figures_of(rows)}
    print(tables(figures), flush=True)
    if options.json:
        print(json.dumps(figures, allow_nan=False), flush=True)


def measure(
    settings: Settings,
    ways: Sequence[Way],
    models: Path,
    meter_of: Callable[[Path], FaceMeter],
    journal: JsonLines,
    attributes: bool = False,
) -> dict[Way, list[Row]]:
    """Measure all ways on all people, but for what the journal has; if it has everything, no model is opened.

    Args:
        settings: seed and number of the people.
        ways: to compare.
        models: models folder in ComfyUI's layout.
        meter_of: opens the meter of a models folder.
        journal: of this seed, code and models, with attributes or without.
        attributes: whether every row also has the measures of `Studio.attributes`.

    Returns:
        By way, the row of every person.

    Raises:
        FileNotFoundError: a model is missing.
        SetupError: there is no ComfyUI.
        ValueError: the journal belongs to another run.
    """
    done: dict[tuple[int, str], Row] = {(person, way): row for person, way, row in journal.entries()}
    people = range(settings.faces)
    left = {
        person: missing for person in people if (missing := [way for way in ways if (person, way.name) not in done])
    }
    if left:
        studio = Studio(models, meter_of(models), settings)
        for person, missing in left.items():
            original = studio.original(person)
            for way in missing:
                row = studio.row(original, way)
                if attributes:
                    row |= studio.attributes(original, way)
                done[person, way.name] = row
                journal.append([person, way.name, row])
            note(f"{person + 1} of {settings.faces} people")
    return {way: [done[person, way.name] for person in people] for way in ways}


if __name__ == "__main__":
    main()
