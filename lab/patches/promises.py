"""The promises that must hold for every patch, and the rows of a sweep that break them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from .bench import Failure, Look
from .known import FILES, KINDS, KNOWN, Known
from .sweep import Row

ALLOWED = 1e-4
"""Largest error of scale 0 at which the picture counts as restored."""

SIMILARITY_MARGIN = 0.3
"""How much more similar faces may stay with a patch than without one, unless `known` allows more."""

BACKGROUND_TIMES = 4.0
"""A background that changes this many times as much as without a patch counts as destroyed."""

Verdict = Literal["holds", "stops", "own guidance", "changes nothing", "cannot be applied", "destroys"]


@dataclass(frozen=True)
class Judged:
    """A row and its verdict.

    Attributes:
        row: the measurement.
        verdict: the conclusion.
        broken: descriptions of the promises that the row breaks.
        known: its entry in the table of known patches, if any.
    """

    row: Row
    verdict: Verdict
    broken: tuple[str, ...]
    known: Known | None


def judge(rows: Iterable[Row], models: Row, texts: Row) -> Iterator[Judged]:
    """Judge every row.

    Args:
        rows: rows of a sweep.
        models: the row without a patch.
        texts: the unpatched row with the text that text patches act on.
    """
    for row in rows:
        known = KNOWN.get(row.name, KNOWN.get(row.node, KINDS.get(row.kind)))
        baseline = texts if row.kind in ("text", "clip", "hooks") else models
        verdict, broken = _judged(row, known, baseline)
        yield Judged(row, verdict, tuple(broken), known)


def is_destroyed(look: Look, baseline: Row) -> bool:
    """Whether the pictures lost a face or their background."""
    assert baseline.look is not None
    return not look.faces or look.background > BACKGROUND_TIMES * baseline.look.background


def _judged(row: Row, known: Known | None, baseline: Row) -> tuple[Verdict, list[str]]:
    if row.needs:
        unlisted = [need for need in row.needs if need not in FILES]
        return "cannot be applied", [f"needs {need}, which `known.FILES` does not list" for need in unlisted]
    expected = known.verdict if known else "holds"
    if row.failure:
        # Without our nodes: one that does nothing to this model may also want other inputs, such as one picture.
        if row.stage == "apply" and expected in ("cannot be applied", "changes nothing"):
            return "cannot be applied", []
        return "stops", [] if row.host_stops else list(_unclear(row.failure, known, row.stage))
    broken = [*_passed_on(row), *_sides(row), *_parts(row)]
    if row.kind == "guider" or (row.kind == "sigmas" and row.changes):
        return "holds", broken
    if not row.changes:
        if expected != "changes nothing" and not (known and known.late):
            broken.append("changes no prediction: choose stronger inputs, or explain in `known` why it cannot")
        return "changes nothing", broken + ([] if row.kind == "sigmas" else _not_back(row, ALLOWED))
    if expected == "changes nothing":
        broken.append("is listed as changing nothing, but changes predictions")
    if expected == "own guidance":
        assert known is not None
        return "own guidance", broken + _not_back(row, known.error) + _still_alike(row, known, baseline)
    broken += _not_back(row, known.error if known else ALLOWED) + _still_alike(row, known, baseline)
    destroyed = row.look is not None and is_destroyed(row.look, baseline)
    if destroyed and expected != "destroys":
        broken.append("destroys the picture at the default scale")
    return ("destroys" if destroyed else "holds"), broken


def _unclear(failure: Failure, known: Known | None, where: str) -> Iterator[str]:
    if failure.ours:
        return
    if known is None or known.verdict != "stops" or not re.search(known.message, str(failure)):
        yield f"stops ({where}) with an error that is neither the pack's nor known to be clear: {failure}"


def _not_back(row: Row, allowed: float) -> list[str]:
    errors = {"scale 0": row.error} | ({} if row.before is None else {"scale 0, patch before the adapter": row.before})
    broken = [f"{name} misses the latent by {error:.2g}" for name, error in errors.items() if not error <= allowed]
    if row.before_failure and not row.before_failure.ours:
        broken.append(f"before the adapter: {row.before_failure}")
    return broken


def _still_alike(row: Row, known: Known | None, baseline: Row) -> list[str]:
    assert baseline.look is not None
    allowed = baseline.look.similarity + SIMILARITY_MARGIN
    if known and known.similarity is not None:
        allowed = known.similarity
    looks = {"": row.look, " as attributes": row.as_attributes}
    return [
        f"similarity{place} {look.similarity:.2f} at the default scale, more than {allowed:.2f}"
        for place, look in looks.items()
        if isinstance(look, Look) and look.faces and look.similarity > allowed
    ]


def _passed_on(row: Row) -> list[str]:
    """Find results that must never be passed on."""
    broken = [] if row.finite else ["a result that is not finite"]
    if isinstance(row.as_attributes, Failure):
        broken += [f"as attributes: {said}" for said in _unclear(row.as_attributes, None, "scale")]
    for look in (row.look, row.as_attributes):
        if isinstance(look, Look) and not look.faces and look.passed:
            broken.append("Identity Check reports a destroyed face as anonymised")
    return broken


def _parts(row: Row) -> list[str]:
    """Find combinations with the pack's guider or sampler that need a warning and give none."""
    if row.kind == "guider" and not row.warned:
        return ["a guider without an identity replays a trajectory, and no warning says so"]
    if row.kind == "sigmas" and row.changes and not row.warned:
        return ["a trajectory is replayed at other noise levels, and no warning says so"]
    return []


def _sides(row: Row) -> list[str]:
    """Find errors of a patch on one side that no warning reports."""
    names = ("on the inversion only", "on the sampler only")
    return [
        f"{name}: no warning says that scale 0 misses the latent by {side.error:.2g}"
        for name, side in zip(names, row.sides, strict=False)
        if not side.noticed(ALLOWED)
    ]
