"""Lists the pictures of a data set for `batch` and for `evaluate`: `python -m evaluate.datasets`.

It reads copies of CelebA-HQ and FFHQ that you have, and downloads nothing. The list goes to `batch` as @FILE and to
`evaluate` as --originals FILE. Which pictures are taken is said by a folder or a list of others, such as a published
test set, whose numbers count; of CelebA-HQ it also says who is in which picture.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reverse_personalization.photographs.folder import SUFFIXES

from .places import named_pictures

MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"
"""File of CelebAMask-HQ that says which picture of CelebA each of CelebA-HQ is: number, its number, its name."""


@dataclass(frozen=True)
class DataSet:
    """A data set whose files are named by numbers.

    Attributes:
        count: of its pictures, numbered from 0.
        folder: where its usual distribution has them, below its root.
    """

    count: int
    folder: str


DATA_SETS: Mapping[str, DataSet] = {
    "celeba-hq": DataSet(30_000, "CelebA-HQ-img"),
    "ffhq": DataSet(70_000, "images1024x1024"),
}
"""CelebA-HQ as CelebAMask-HQ distributes it, and FFHQ, whose pictures lie in folders of a thousand."""


def number_of(stem: str) -> int | None:
    """The number with which a name begins: 42 for "42", "00042" and "00042-00042"; None if it begins with none."""
    digits = re.match(r"\d+", stem)
    return int(digits[0]) if digits else None


def pictures_of(data_set: DataSet, root: Path) -> dict[int, Path]:
    """The pictures of a copy of a data set, by their numbers.

    Args:
        data_set: which.
        root: the folder of its distribution, or one with the pictures in it or in folders below.

    Raises:
        OSError: the folder cannot be read.
        ValueError: there is no picture, or one has no number, a number of another data set, or another's.
    """
    folder = root / data_set.folder if (root / data_set.folder).is_dir() else root
    found: dict[int, Path] = {}
    for file in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES):
        number = number_of(file.stem)
        if number is None or number >= data_set.count:
            raise ValueError(
                f"{file} is no picture of this data set; expected names that are numbers from 0 to "
                f"{data_set.count - 1}, so name a folder that holds nothing else"
            )
        if number in found:
            raise ValueError(f"{found[number]} and {file} have one number; name a folder that holds each picture once")
        found[number] = file
    if not found:
        raise ValueError(f"{folder} holds no picture; name the folder of the data set")
    return found


def chosen(pictures: Mapping[int, Path], only: Path) -> dict[int, Path]:
    """Those pictures whose numbers a test set has.

    Args:
        pictures: of the data set, by number.
        only: a folder of pictures, a list of them, or a text file with a number a line.

    Raises:
        OSError: it cannot be read.
        ValueError: it has no number, or one that the data set's copy has not.
    """
    numbers = _numbers(only)
    if missing := sorted(numbers - pictures.keys()):
        raise ValueError(
            f"{only} has {len(missing)} pictures that this copy of the data set lacks, such as {missing[0]}; name the "
            "whole data set"
        )
    return {number: pictures[number] for number in sorted(numbers)}


def _numbers(only: Path) -> set[int]:
    if only.is_dir():
        stems = [stem for stem, _ in named_pictures(only)]
    else:
        stems = [Path(line.strip()).stem for line in only.read_text("utf-8-sig").splitlines() if line.strip()]
    found = [number_of(stem) for stem in stems]
    if not found or None in found:
        raise ValueError(f"{only} names something that begins with no number; expected numbers, or pictures named so")
    return {number for number in found if number is not None}


def people_of(mapping: Path, identities: Path) -> dict[int, str]:
    """Who is in which picture of CelebA-HQ, by number.

    Args:
        mapping: MAPPING; lines "number original-number original-name" after a heading.
        identities: identity_CelebA.txt of CelebA; lines "original-name person".

    Raises:
        OSError: a file cannot be read.
        ValueError: a line is something else, or CelebA does not know a picture.
    """
    known = dict(_rows(identities, "000001.jpg 2880"))
    found = {}
    for number, _, name in _rows(mapping, "0 119613 119614.jpg")[1:]:
        if name not in known:
            raise ValueError(f"{identities} does not say who is in {name}, which {mapping} names; take CelebA's own")
        if not number.isdecimal():
            raise ValueError(f'{mapping} has "{number}" where a number is expected; take CelebA-HQ\'s own')
        found[int(number)] = known[name]
    return found


def _rows(file: Path, example: str) -> list[list[str]]:
    """The columns of each line that is not empty, as many as the example has."""
    rows = [text.split() for text in file.read_text("utf-8-sig").splitlines() if text.strip()]
    wrong = next((row for row in rows if len(row) != len(example.split())), None)
    if wrong is not None or not rows:
        raise ValueError(f'{file} has the line "{" ".join(wrong or [])}"; expected lines such as "{example}"')
    return rows


def _people_file(pictures: Mapping[int, Path], people: Mapping[int, str]) -> str:
    """The lines "stem,person" that `evaluate` takes.

    Raises:
        ValueError: of a picture it is not known.
    """
    if unknown := sorted(pictures.keys() - people.keys()):
        raise ValueError(f"the mapping lacks {len(unknown)} pictures, such as {unknown[0]}; take CelebA-HQ's own")
    return "".join(f"{file.stem},{people[number]}\n" for number, file in pictures.items())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 1 if the data set cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m evaluate.datasets", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_set", choices=list(DATA_SETS), help="which one")
    parser.add_argument("root", type=Path, help="its folder")
    parser.add_argument(
        "--only", type=Path, metavar="PLACE", help="a folder, or a text file of names or numbers: take only these"
    )
    parser.add_argument("--list", type=Path, required=True, metavar="FILE", help="text file to write, a path a line")
    parser.add_argument(
        "--identities",
        type=Path,
        metavar="FILE",
        help="CelebA's identity_CelebA.txt: who is in which picture",
    )
    parser.add_argument(
        "--mapping", type=Path, metavar="FILE", help=f"of CelebA-HQ (default: {MAPPING} in the data set's folder)"
    )
    parser.add_argument("--people", type=Path, metavar="CSV", help="file to write of it, as evaluate takes it")
    options = parser.parse_args(arguments)
    if (options.identities is None) != (options.people is None):
        parser.error("--identities and --people go together: who is in which picture, and the file for it")
    if options.identities is not None and options.data_set != "celeba-hq":
        parser.error("--identities is CelebA's; FFHQ does not say who is in its pictures")
    try:
        pictures = pictures_of(DATA_SETS[options.data_set], options.root)
        if options.only is not None:
            pictures = chosen(pictures, options.only)
        if options.identities is not None:
            people = people_of(options.mapping or options.root / MAPPING, options.identities)
            options.people.write_text(_people_file(pictures, people), encoding="utf-8")
        options.list.write_text("".join(f"{file.resolve()}\n" for file in pictures.values()), encoding="utf-8")
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{options.list}: {len(pictures)} pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
