"""Measures whether a person is one and the same stranger in several photographs: `python -m lab.measure.album`.

Of every person there are two photographs in other light and pose, with other hair and clothes. Both are changed, each
with noise of its own; then the judge compares the results.
"""

from __future__ import annotations

import os

# Several processes share the cores, and a second thread waits by computing.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from miniature.layout import FACE_PACK, JUDGE_PACK, WEIGHTS
from miniature.workflow import SIDE
from reverse_personalization.assurance.operating_point import pack_threshold

from ..journal import JsonLines
from ..measuring.host_run import Workflow
from ..measuring.people import Pictures, draw_people, person_seed
from ..measuring.recognisers import Recognisers
from ..measuring.report import table
from ..measuring.runs import note
from ..measuring.scores import Floats, impostor_scores, similarities
from ..measuring.settings import Settings
from .journals import run_of
from .running import changed
from .targets import KEY_NAME, target_of
from .ways import Way, ways_of

OTHER_KEY = "other"
"""Name of the second key, under which the first photograph is changed once more."""

OTHER_PHOTOGRAPH = 1 << 41
"""Added to a person's seed for the noise of the second photograph."""

ORIGINALS = "originals"

Embeddings = dict[str, list[float]]
"""One person's embeddings by the judge, by what is seen; not numbers where no face was found."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.measure.album", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="seed of the people (default: %(default)s)")
    parser.add_argument("--faces", type=int, default=32, help="number of people, at least 2 (default: %(default)s)")
    parser.add_argument(
        "--ways",
        default="fast,capped:8:0.5:-2:2:pseudonym",
        metavar="NAME,NAME",
        help="ways to compare, as in lab.measure (default: %(default)s)",
    )
    parser.add_argument("--journal", type=Path, metavar="FILE", help="records every result, to resume a stopped run")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON in the last line")
    options = parser.parse_args(arguments)
    try:
        settings, ways = Settings(options.seed, options.faces), ways_of(options.ways)
    except ValueError as error:
        parser.error(str(error))
    with tempfile.TemporaryDirectory(prefix="album-") as temporary:
        journal = JsonLines(options.journal or Path(temporary, "journal"), run_of(options.seed, WEIGHTS))
        seen = measure(settings, ways, journal)
    figures = {
        ORIGINALS: figures_of(seen[ORIGINALS], seen[ORIGINALS]),
        **{way.name: figures_of(seen[ORIGINALS], seen[way.name]) for way in ways},
    }
    rows = [
        [name, *("-" if one.get(name) is None else f"{one[name]:.3f}" for one in figures.values())] for name in NAMES
    ]
    print(table(["", *figures], rows), flush=True)
    if options.json:
        print(json.dumps(figures, allow_nan=False), flush=True)


def measure(settings: Settings, ways: Sequence[Way], journal: JsonLines) -> dict[str, list[Embeddings]]:
    """Change everybody's photographs in all ways, but for what the journal has.

    Returns:
        By ORIGINALS and way, every person's embeddings: `first` and `second` photograph and, for pseudonyms, `other`,
        the first one under another key.
    """
    done: dict[tuple[int, str], Embeddings] = {(person, name): seen for person, name, seen in journal.entries()}
    names = [ORIGINALS, *(way.name for way in ways)]
    left = [person for person in range(settings.faces) if any((person, name) not in done for name in names)]
    album = Album(settings) if left else None
    for person in left:
        assert album is not None
        for name, way in zip(names, (None, *ways), strict=True):
            if (person, name) not in done:
                done[person, name] = album.seen(person, way)
                journal.append([person, name, done[person, name]])
        note(f"{person + 1} of {settings.faces} people")
    return {name: [done[person, name] for person in range(settings.faces)] for name in names}


class Album:
    """The workflow, and two photographs of every person.

    Args:
        settings: seed and number of the people.
    """

    def __init__(self, settings: Settings) -> None:
        self._workflow = Workflow(WEIGHTS)
        self._recognisers = Recognisers(
            guide=self._workflow.face_pack(FACE_PACK.name),
            judge=self._workflow.face_pack(JUDGE_PACK.name),
            size=settings.search_size,
            score=settings.found_score,
        )
        self._seed = settings.seed
        self._people = draw_people(settings.seed, settings.faces, SIDE)

    def seen(self, person: int, way: Way | None) -> Embeddings:
        """Embed one person's photographs, changed in a way or, for None, as they are."""
        first, second = self._people.pictures[[person]], self._people.gallery[[person]]
        if way is None:
            return {"first": self._embedded(first), "second": self._embedded(second)}
        seed = person_seed(self._seed, person)
        found = {
            "first": self._changed(first, person, way, seed),
            "second": self._changed(second, person, way, seed + OTHER_PHOTOGRAPH),
        }
        if way.towards and way.target == "pseudonym":
            found["other"] = self._changed(first, person, way, seed, OTHER_KEY)
        return found

    def _changed(self, picture: Pictures, person: int, way: Way, seed: int, key: str = KEY_NAME) -> list[float]:
        workflow, pictures = self._workflow, self._people.pictures
        faces = workflow.embed(picture)
        others = workflow.embed(pictures[[(person + 1) % len(pictures)]])
        # One target for both photographs: what is drawn depends on the person, not on the photograph.
        target = target_of(workflow, faces, others, way, person_seed(self._seed, person), key)
        edited = changed(workflow, way, workflow.encode(picture), faces, seed, target)
        return self._embedded(workflow.decode(edited))

    def _embedded(self, picture: Pictures) -> list[float]:
        embedded: list[float] = self._recognisers.see(picture).judge[0].tolist()
        return embedded


NAMES = ("similarity", "reid", "one person", "strangers", "strangers, 95 %", "two keys", "unmeasurable")
"""What `figures_of` returns, in the order of the table."""


def figures_of(originals: Sequence[Embeddings], results: Sequence[Embeddings]) -> dict[str, float | None]:
    """Summarise one way.

    Args:
        originals: of all people.
        results: of the same people.

    Returns:
        `similarity` (mean cosine of a result with its original, both photographs), `reid` (share of them at or above
        the judge's measured threshold), `one person` (mean cosine of the results of a person's two photographs),
        `strangers` (of different people's first and second), `strangers, 95 %` (their 95th percentile), `two keys`
        (of the first photograph's results under two keys; None for other ways) and `unmeasurable` (share of results
        without a face).
    """

    def stacked(rows: Sequence[Mapping[str, Any]], name: str) -> Floats:
        return np.array([row[name] for row in rows], np.float64)

    first, second = stacked(results, "first"), stacked(results, "second")
    own = np.concatenate(
        [similarities(first, stacked(originals, "first")), similarities(second, stacked(originals, "second"))]
    )
    strangers = impostor_scores(first, second)
    keys = similarities(first, stacked(results, "other")) if "other" in results[0] else np.array([])
    return {
        "similarity": _mean(own),
        "reid": _mean((own[~np.isnan(own)] >= pack_threshold(WEIGHTS / JUDGE_PACK)).astype(np.float64)),
        "one person": _mean(similarities(first, second)),
        "strangers": _mean(strangers),
        "strangers, 95 %": float(np.percentile(strangers, 95)) if len(strangers) else None,
        "two keys": _mean(keys),
        "unmeasurable": float(np.isnan(own).mean()),
    }


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _mean(values: Floats) -> float | None:
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else None


if __name__ == "__main__":
    main()
