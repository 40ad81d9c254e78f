"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .faces import Observers
from .measures import Measure, Threshold
from .pairing import Pictures
from .published import PublishedNumber
from .statistics import LEVEL, Estimate
from .summary import Distribution, GroupFailure, Summary

ARROWS = {"lower": " ↓", "higher": " ↑", "": ""}

SIGNIFICANT = 0.05
"""Largest corrected p value of a difference that is shown."""

TABLE_1, TABLE_2 = "Table 1", "Table 2"
"""The paper's tables: methods compared by what is re-identified and kept; attributes."""


def report(
    summary: Summary, observers: Observers, pictures: Pictures, published: Sequence[PublishedNumber], command: str
) -> str:
    """Return the whole report.

    Args:
        summary: what was measured.
        observers: with what.
        pictures: on what.
        published: numbers of others.
        command: that made it.
    """
    return "\n\n".join(
        [
            "# Evaluation",
            f"`{command}`",
            f"Numbers are means with their {LEVEL:.0%} intervals; arrows point to what is better. A dash is what could "
            "not be measured. Results in which no face was found count only there. This report and the files beside it "
            "describe people: treat them as personal data.",
            *_pictures(pictures),
            *_judges(summary.thresholds, observers),
            f"## {TABLE_1}: who is re-identified, and what is kept",
            *method_tables(summary, ("recognition", "gallery", "kept", "quality")),
            *_distributions(summary.distributions),
            *_attributes(summary),
            *_tests(summary),
            *_groups(summary.groups),
            *_published(published),
        ]
    )


def method_tables(summary: Summary, about: Sequence[str]) -> list[str]:
    """One table for each kind of measures: a row for each method, a column for each measure."""
    made = []
    for kind in about:
        columns = [measure for measure in summary.measures if measure.about == kind and not measure.detail]
        if not columns:
            continue
        header = ["method", *(heading(measure) for measure in columns)]
        rows = [
            [method, *(cell(measured[measure.name], measure) for measure in columns)]
            for method, measured in summary.methods.items()
        ]
        made.append(markdown(header, rows))
    return made


def heading(measure: Measure) -> str:
    """A measure's name, unit and direction."""
    unit = f", {measure.unit}" if measure.unit else ""
    return f"{measure.name}{unit}{ARROWS[measure.better]}"


def cell(value: Estimate, measure: Measure) -> str:
    """A mean with its interval; shares in percent."""
    if measure.share:
        return estimated(value, 100, 1, " %")
    return estimated(value, 1, 1 if measure.unit else 3)


def estimated(value: Estimate, factor: float = 1.0, digits: int = 3, unit: str = "") -> str:
    """A number with its interval in brackets, or a dash."""
    if value.value is None:
        return "-"
    number = f"{factor * value.value:.{digits}f}{unit}"
    if value.low is None or value.high is None:
        return number
    return f"{number} [{factor * value.low:.{digits}f}, {factor * value.high:.{digits}f}]"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines)


def _pictures(pictures: Pictures) -> list[str]:
    counts = ", ".join(f"{name} {len(found)}" for name, found in pictures.results.items())
    people = len({pictures.people[stem] for stem in pictures.originals})
    lines = [f"{len(pictures.originals)} originals of {people} people. Results with an original: {counts}."]
    if pictures.gallery:
        lines[0] += f" Gallery: {len(pictures.gallery)} pictures."
    for name, stems in pictures.unpaired.items():
        missing, extra = [one for one in stems if one.startswith("-")], [one for one in stems if one[0] != "-"]
        parts = [f"{len(missing)} originals have no result"] if missing else []
        parts += [f"{len(extra)} pictures have no original"] if extra else []
        lines.append(f"- {name}: {' and '.join(parts)}; `evaluation.json` names them.")
    return ["## Pictures", lines[0], *(["\n".join(lines[1:])] if lines[1:] else [])]


def _judges(thresholds: Mapping[str, Threshold], observers: Observers) -> list[str]:
    header = ["judge", "threshold", "pairs of strangers", "of them matched", "known again in the gallery", "sha256"]
    hashes = {judge.name: judge.sha256 for judge in observers.judges}
    rows = [
        [
            name,
            f"{one.value:.4f}",
            str(one.pairs),
            str(one.above),
            "-" if one.known_again is None else f"{one.known_again:.1%}",
            hashes[name][:12],
        ]
        for name, one in thresholds.items()
    ]
    rate = next(iter(thresholds.values())).rate
    notes = [f"A judge's threshold is the lowest that at most {rate:.2%} of pairs of different people reach."]
    coarse = [name for name, one in thresholds.items() if not one.fine_enough]
    if coarse:
        notes.append(
            f"There are too few pairs for a rate of {rate:.2%} ({', '.join(coarse)}): the threshold lies just above "
            "the two most similar people."
        )
    if len(thresholds) < 2:
        notes.append("There is one judge only; conclusions need two.")
    notes.append(
        f"The guide was {observers.guide}, which is not among the judges."
        if observers.guide
        else "No guide was named (`--guide`), so nothing shows that no judge guided."
    )
    return ["## Judges", " ".join(notes), markdown(header, rows)]


def _distributions(distributions: Mapping[str, Sequence[Distribution]]) -> list[str]:
    names = list(dict.fromkeys(one.features for row in distributions.values() for one in row))
    if not names:
        return []
    header = ["method", *(f"{kind} ({name}) ↓" for name in names for kind in ("FID", "KID"))]
    rows = []
    for method, row in distributions.items():
        by_name = {one.features: one for one in row}
        cells = []
        for name in names:
            one = by_name.get(name)
            cells += ["-", "-"] if one is None else [estimated(one.frechet), estimated(one.kernel)]
        rows.append([method, *cells])
    singular = any(one.singular for row in distributions.values() for one in row)
    note = "FID and KID are of the features that their columns name; numbers of other features cannot be compared."
    if singular:
        note += " There are fewer pictures than features, so FID is too large; only rows of one table can be compared."
    return [note, markdown(header, rows)]


def _attributes(summary: Summary) -> list[str]:
    tables = method_tables(summary, ("attributes",))
    if not tables:
        return []
    note = 'As read from the result and from the original; "same" is the share of results with the original\'s class.'
    return [f"## {TABLE_2}: attributes", note, *tables]


def _tests(summary: Summary) -> list[str]:
    detailed = {measure.name for measure in summary.measures if measure.detail}
    tests = [one for one in summary.tests if one.measure not in detailed]
    shown = [one for one in tests if one.corrected <= SIGNIFICANT]
    note = (
        "On the same people: McNemar's exact test for shares, Wilcoxon's for other numbers, two-sided, corrected by "
        f"Holm's method for the pairs of methods on one measure. Shown are the {len(shown)} of {len(tests)} "
        f"differences with p at most {SIGNIFICANT:g}; all are in `tests.csv`."
    )
    header = ["measure", "first", "second", "people", "first less second", "p", "corrected"]
    rows = [
        [
            one.measure,
            one.one,
            one.other,
            str(one.test.people),
            f"{one.test.difference:+.3f}",
            f"{one.test.p:.2g}",
            f"{one.corrected:.2g}",
        ]
        for one in shown
    ]
    return ["## Differences", note, *([markdown(header, rows)] if rows else [])]


def _groups(groups: Sequence[GroupFailure]) -> list[str]:
    made = []
    for group in dict.fromkeys(one.group for one in groups):
        own = [one for one in groups if one.group == group]
        labels = list(dict.fromkeys(one.label for one in own))
        columns = list(dict.fromkeys((one.method, one.judge) for one in own))
        several = len({judge for _, judge in columns}) > 1
        found = {(one.label, one.method, one.judge): one.share for one in own}
        rows = []
        for label in labels:
            shares = [found[label, method, judge] for method, judge in columns]
            rows.append([label, *(f"{estimated(share, 100, 0, ' %')} of {share.count}" for share in shares)])
        header = [group, *(f"{method}, {judge}" if several else method for method, judge in columns)]
        made.append(markdown(header, rows))
    if not made:
        return []
    note = "Share of the results that are re-identified, by what was read from the original."
    return ["## Failures by group", note, *made]


def _published(published: Sequence[PublishedNumber]) -> list[str]:
    if not published:
        return []
    header = ["source", "table", "method", "measure", "published"]
    rows = [[one.source, one.table, one.method, one.measure, f"{one.value:g}"] for one in published]
    note = "Not measured here: on other pictures, with other models and other thresholds."
    return ["## Published by others", note, markdown(header, rows)]
