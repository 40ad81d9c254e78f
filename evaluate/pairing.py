"""Which pictures belong together: an original, its results, and other pictures of the same person."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .places import named_pictures

ORIGINALS, GALLERY = "originals", "gallery"
"""Names that no method may have, because tables use them."""


@dataclass(frozen=True)
class Pictures:
    """The pictures to compare; all mappings are from a file's stem.

    Attributes:
        originals: in the order of their names.
        results: by method, the results; only of stems that are among the originals.
        gallery: other pictures of people; may be empty, and may show people of whom there is no original.
        people: who is in an original or a gallery picture. One name is one person.
        unpaired: by method or GALLERY, stems without an original; for a method also originals without a result, after
            a minus sign.
    """

    originals: Mapping[str, Path]
    results: Mapping[str, Mapping[str, Path]]
    gallery: Mapping[str, Path]
    people: Mapping[str, str]
    unpaired: Mapping[str, tuple[str, ...]]


def read_pictures(
    originals: Path, results: Mapping[str, Path], gallery: Path | None = None, people: Path | None = None
) -> Pictures:
    """List the pictures and pair them by stem.

    Args:
        originals: folder, list or manifest (`places.named_pictures`).
        results: the same of each method.
        gallery: likewise, or None.
        people: CSV file of lines "stem,person"; without it every stem is one person.

    Raises:
        OSError: a folder or the file cannot be read.
        ValueError: a place has no picture or two of one stem, a method has no result of any original, or the file of
            people is not complete.
    """
    own = pictures_by_stem(originals)
    others = {} if gallery is None else pictures_by_stem(gallery)
    paired: dict[str, Mapping[str, Path]] = {}
    unpaired: dict[str, tuple[str, ...]] = {}
    for method, folder in results.items():
        found = pictures_by_stem(folder)
        paired[method] = {stem: found[stem] for stem in own if stem in found}
        if not paired[method]:
            raise ValueError(
                f"no file in {folder} has the name of an original, such as {next(iter(own))}; name results like their "
                "originals, whatever their endings"
            )
        unpaired[method] = (
            *(stem for stem in found if stem not in own),
            *(f"-{stem}" for stem in own if stem not in found),
        )
    known = {stem: stem for stem in (*own, *others)} if people is None else read_people(people)
    missing = [stem for stem in (*own, *others) if stem not in known]
    if missing:
        raise ValueError(
            f"{people} does not say who is in {len(missing)} pictures, such as {missing[0]}; expected a line "
            '"stem,person" for every original and every picture of the gallery'
        )
    shown = {known[stem] for stem in own}
    unpaired[GALLERY] = tuple(stem for stem in others if known[stem] not in shown)
    return Pictures(own, paired, others, known, {name: stems for name, stems in unpaired.items() if stems})


def pictures_by_stem(place: Path) -> dict[str, Path]:
    """The pictures at a place by their stems, in the place's order.

    Args:
        place: as for `named_pictures`.

    Raises:
        OSError: it cannot be read.
        ValueError: there is none, two have one stem, or a list or manifest is not one.
    """
    found: dict[str, Path] = {}
    for stem, file in named_pictures(place):
        if stem in found:
            raise ValueError(
                f"{found[stem].name} and {file.name} in {place} have one stem, so nobody knows which is meant; "
                "remove or rename one"
            )
        found[stem] = file
    if not found:
        raise ValueError(
            f"{place} has no picture; expected files such as NAME.png or NAME.jpg directly in it, or their paths if it "
            "is a list"
        )
    return found


def read_people(file: Path) -> dict[str, str]:
    """Who is in which picture, from a CSV file of lines "stem,person".

    Raises:
        OSError: it cannot be read.
        ValueError: a line is something else, or a stem is there twice.
    """
    known: dict[str, str] = {}
    with file.open(newline="", encoding="utf-8-sig") as stream:
        for line, row in enumerate(csv.reader(stream), start=1):
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if len(cells) != 2 or not all(cells):
                raise ValueError(f'{file}, line {line}: "{",".join(row)}"; expected a stem, a comma and a person')
            if cells[0] in known:
                raise ValueError(f'{file}, line {line}: "{cells[0]}" is there twice; expected one line for each stem')
            known[cells[0]] = cells[1]
    return known


def read_methods(arguments: Sequence[str]) -> dict[str, Path]:
    """The folders of `--results NAME=PLACE`.

    Raises:
        ValueError: an argument has another form, or a name is taken.
    """
    methods: dict[str, Path] = {}
    for argument in arguments:
        name, sign, folder = argument.partition("=")
        if not (name and sign and folder):
            raise ValueError(f'the results "{argument}" have no name; expected NAME=PLACE, such as FALCO=results/falco')
        if name in (ORIGINALS, GALLERY):
            raise ValueError(f'a method cannot be called "{name}"; choose another name')
        if name in methods:
            raise ValueError(f'two folders of results are called "{name}"; give each its own name')
        methods[name] = Path(folder)
    return methods
