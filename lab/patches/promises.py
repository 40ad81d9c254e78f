"""What must hold for every patch, and which rows of a sweep break it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from .bench import Failure, Look
from .known import FILES, KINDS, KNOWN, Known
from .sweep import Row

ALLOWED = 1e-4
"""Largest error of scale 0 at which the picture counts as given back."""

SIMILARITY_MARGIN = 0.3
"""A patch may leave faces this much more alike than no patch does; more has to be known."""

BACKGROUND_TIMES = 4.0
"""A background that changed this many times more than without a patch counts as destroyed."""

Verdict = Literal["holds", "stops", "own guidance", "changes nothing", "cannot be applied", "destroys"]


@dataclass(frozen=True)
class Judged:
    """A row and what is to be said of it.

    Attributes:
        row: what was measured.
        verdict: in a word.
        broken: promises that it breaks, empty if it is as it should be.
        known: what the table of known patches says of it.
    """

    row: Row
    verdict: Verdict
    broken: tuple[str, ...]
    known: Known | None


def judge(rows: Iterable[Row], models: Row, texts: Row) -> Iterator[Judged]:
    """Judge every row.

    Args:
        rows: of a sweep.
        models: the row without a patch.
        texts: the same with the text that patches of texts act on.
    """
    for row in rows:
        known = KNOWN.get(row.name, KNOWN.get(row.node, KINDS.get(row.kind)))
        baseline = texts if row.kind in ("text", "clip", "hooks") else models
        verdict, broken = _judged(row, known, baseline)
        yield Judged(row, verdict, tuple(broken), known)


def is_destroyed(look: Look, baseline: Row) -> bool:
    """Whether pictures lost a face or their background."""
    assert baseline.look is not None
    return not look.faces or look.background > BACKGROUND_TIMES * baseline.look.background


def _judged(row: Row, known: Known | None, baseline: Row) -> tuple[Verdict, list[str]]:
    if row.needs:
        unlisted = [need for need in row.needs if need not in FILES]
        return "cannot be applied", [f"needs {need}, of which nothing is known" for need in unlisted]
    expected = known.verdict if known else "holds"
    if row.failure:
        if row.stage == "apply" and expected == "cannot be applied":
            return "cannot be applied", []
        return "stops", [] if row.host_stops else list(_unclear(row.failure, known, row.stage))
    broken = [*_passed_on(row), *_sides(row), *_parts(row)]
    if row.kind == "guider" or (row.kind == "sigmas" and row.changes):
        return "holds", broken
    if not row.changes:
        if expected != "changes nothing" and not (known and known.late):
            broken.append("changes no prediction: choose stronger inputs, or say why it cannot")
        return "changes nothing", broken + ([] if row.kind == "sigmas" else _not_back(row, ALLOWED))
    if expected == "changes nothing":
        broken.append("is said to change nothing, but changes predictions")
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
        yield f"stops ({where}) with an error that is neither ours nor known to be clear: {failure}"


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
    """Results that nobody may get."""
    broken = [] if row.finite else ["a result that is not finite"]
    if isinstance(row.as_attributes, Failure):
        broken += [f"as attributes: {said}" for said in _unclear(row.as_attributes, None, "scale")]
    for look in (row.look, row.as_attributes):
        if isinstance(look, Look) and not look.faces and look.passed:
            broken.append("Identity Check takes a destroyed face for an anonymised one")
    return broken


def _parts(row: Row) -> list[str]:
    """What must not go together with the pack's own guider or sampler without a word."""
    if row.kind == "guider" and not row.warned:
        return ["a guider that knows of no identity replays a record, and nobody is told"]
    if row.kind == "sigmas" and row.changes and not row.warned:
        return ["a record is replayed at other noise levels, and nobody is told"]
    return []


def _sides(row: Row) -> list[str]:
    """What nobody was told of."""
    names = ("on the inversion only", "on the sampler only")
    return [
        f"{name}: nobody is told that scale 0 misses the latent by {side.error:.2g}"
        for name, side in zip(names, row.sides, strict=False)
        if not side.noticed(ALLOWED)
    ]
