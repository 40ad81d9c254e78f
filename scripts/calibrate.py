"""Measures the threshold of a recogniser on your own pictures and writes it beside the recogniser.

    python3 scripts/calibrate.py antelopev2 FOLDER              a pack in models/insightface/models
    python3 scripts/calibrate.py face.onnx FOLDER               a single recogniser there
    python3 scripts/calibrate.py antelopev2 PAIRS.csv           lines of: one picture, another picture, 1 or 0

Run it with ComfyUI's Python. FOLDER holds pictures of different people: one person a picture, or a folder for each
person. At least 30 people are needed, 60 or more are better. A pair is 1 if both pictures show one person, else 0.

Identity Check then takes this threshold where its own is 0. Nothing of the pictures is kept, only figures.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACK = "reverse_personalization_to_calibrate"
"""The pack's name in `sys.modules`: its parts import each other relative to it."""

ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
PAIRS = ".csv"
SUSPECTS = 5
"""How many of the most similar strangers are named."""


class Shown(NamedTuple):
    """A picture and the number of the person in it."""

    file: Path
    person: int


class Pictures(NamedTuple):
    """What to calibrate on; `pairs` are numbers of pictures, None for all of them."""

    shown: list[Shown]
    pairs: list[tuple[int, int]] | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 1 if the recogniser cannot be calibrated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recogniser", help="name of a pack or of an ONNX file in ComfyUI's models, or a path to one")
    parser.add_argument("pictures", nargs="+", type=Path, help="folders, pictures, or one file of pairs")
    parser.add_argument("--detector", default="", metavar="PACK", help="whose detector a single file uses (buffalo_l)")
    parser.add_argument(
        "--comfyui", type=Path, help="ComfyUI's folder; otherwise COMFYUI, or where the pack is installed"
    )
    parser.add_argument("--provider", default="CPU", help="what ONNX Runtime computes on (default: %(default)s)")
    parser.add_argument(
        "--false-match-rate", type=float, metavar="R", help="share of strangers that may count as one person (0.01)"
    )
    parser.add_argument("--dry-run", action="store_true", help="measure, but write nothing")
    options = parser.parse_args(arguments)
    try:
        print(run(options))
    except (OSError, ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace) -> str:
    """Measure and write; returns the report.

    Raises:
        ValueError: the recogniser cannot be calibrated on these pictures, or something cannot be used.
        OSError, RuntimeError: something cannot be found, read or used.
    """
    pictures = read_pictures(options.pictures)
    part = load(comfyui_folder(options.comfyui))
    calibration = part("reverse_personalization.assurance.calibration")
    checker, packs = part("host.checker"), part("host.face_packs")
    name = options.recogniser
    if Path(name).exists():
        name = str(Path(name).resolve())
    single = name.endswith(checker.SINGLE_FILE)
    faces = part("reverse_personalization.assurance.calibration_faces")
    detecting = None
    if single:
        detector = options.detector or packs.DEFAULT_PACK
        detecting = checker.open_recogniser(detector, options.provider, faces.LEAST_SCORE, None)
    recogniser = checker.open_recogniser(name, options.provider, faces.LEAST_SCORE, detecting)
    samples, again, files = see(faces, recogniser, pictures)
    numbers = {picture: number for number, picture in enumerate(files)}
    pairs = None
    if pictures.pairs is not None:
        pairs = [(numbers[a], numbers[b]) for a, b in pictures.pairs if a in numbers and b in numbers]
    sha256 = part("host.model_hashes").file_sha256(recogniser.recogniser.file)
    wanted = options.false_match_rate or calibration.WANTED_RATE
    found = calibration.calibrate(samples, pairs, wanted, sha256, again)
    target = checker.point_file(recogniser)
    if not options.dry_run:
        unfinished = target.with_name(f"{target.name}.unfinished")
        unfinished.write_bytes(found.as_json())
        os.replace(unfinished, target)
    suspects = calibration.most_alike(calibration.compare(samples, pairs)[0], SUSPECTS)
    alike = [(cosine, *(pictures.shown[files[one]].file for one in pair)) for cosine, pair in suspects]
    return report(calibration, found, alike, None if options.dry_run else target)


def see(faces: ModuleType, recogniser: Any, pictures: Pictures) -> tuple[list[Any], list[Any], list[int]]:
    """Find and embed the faces.

    Returns:
        The samples; the first of them as the recogniser sees them with the other input scaling; the samples' pictures.
    """
    samples: list[Any] = []
    again: list[Any] = []
    files: list[int] = []
    for number, (file, person) in enumerate(pictures.shown):
        picture = read(file)
        face = faces.only_face(recogniser, picture)
        one = (
            None
            if isinstance(face, str)
            else faces.sample(recogniser, picture, face, person, len(samples) < faces.SPOILT_FACES)
        )
        print(f"{number + 1} of {len(pictures.shown)}", end="\r", file=sys.stderr, flush=True)
        if one is None:
            why = face if isinstance(face, str) else "its face could not be embedded"
            print(f"left out: {file}: {why}", file=sys.stderr)
            continue
        if len(again) < faces.RESCALED_FACES:
            other = faces.sample(recogniser.rescaled(), picture, face, person)
            again += [] if other is None else [other]
        samples.append(one)
        files.append(number)
    return samples, again, files


def report(calibration: ModuleType, found: Any, alike: list[tuple[float, Path, Path]], target: Path | None) -> str:
    """What was measured, for people."""
    lines = [
        f"{found.people} people",
        f"threshold at one place {found.at_one_place:.4f}: reached by {rate(found.strangers)} of strangers",
        f"threshold between places {found.between_places:.4f}: reached by {rate(found.strangers_between)} of strangers",
        f"known again at one place: {rate(found.spoilt)} of the same photographs, spoilt",
    ]
    if found.genuine is None:
        lines.append("nobody is in two pictures, so nothing is known about other pictures of a person")
    else:
        lines.append(f"known again at one place: {rate(found.genuine)} of one person's different pictures")
        if found.genuine.share < calibration.WANTED_CAUGHT:
            lines.append(
                "a recogniser that misses that many is a weak judge; choose another or a higher --false-match-rate"
            )
    lines.append(
        "the most similar of those that you called strangers; if they are one person, correct that and run again:"
    )
    lines += [f"  {cosine:.2f}  {first}  {second}" for cosine, first, second in alike]
    lines.append("nothing was written" if target is None else f"written: {target}")
    return "\n".join(lines)


def rate(one: Any) -> str:
    """A share with its interval."""
    return f"{one.share:.2%} (95 % interval {one.low:.2%} to {one.high:.2%}) of {one.pairs} pairs"


def read_pictures(paths: Sequence[Path]) -> Pictures:
    """Who is in which picture.

    Args:
        paths: folders and pictures, or one file of pairs.

    Raises:
        OSError: one cannot be read.
        ValueError: there is no picture, or a line of the file is not a pair.
    """
    if len(paths) == 1 and paths[0].suffix.lower() == PAIRS:
        return _read_pairs(paths[0])
    groups = [group for path in paths for group in _people_in(path)]
    if not groups:
        raise ValueError(
            f"no picture in {', '.join(map(str, paths))}; expected files ending in {', '.join(sorted(ENDINGS))}"
        )
    return Pictures([Shown(file, person) for person, group in enumerate(groups) for file in group], None)


def _people_in(path: Path) -> Iterator[list[Path]]:
    """The pictures of each person."""
    if not path.is_dir():
        if path.suffix.lower() not in ENDINGS:
            raise ValueError(f"{path} is no folder and no picture; expected a folder, a picture or one {PAIRS} file")
        yield [path]
        return
    entries = sorted(path.iterdir())
    for entry in entries:
        if entry.is_dir():
            own = sorted(file for file in entry.rglob("*") if file.suffix.lower() in ENDINGS)
            if own:
                yield own
        elif entry.suffix.lower() in ENDINGS:
            yield [entry]


def _read_pairs(path: Path) -> Pictures:
    numbers: dict[Path, int] = {}
    pairs, same = [], []
    with path.open(newline="", encoding="utf-8-sig") as file:
        for line, row in enumerate(csv.reader(file), start=1):
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if len(cells) != 3 or cells[2] not in ("0", "1"):
                raise ValueError(f"{path}, line {line}: {','.join(row)}; expected one picture, another picture, 1 or 0")
            first, second = (numbers.setdefault(path.parent / cell, len(numbers)) for cell in cells[:2])
            pair = (first, second)
            pairs.append(pair)
            if cells[2] == "1":
                same.append(pair)
    people = list(range(len(numbers)))
    for a, b in same:
        people = [people[a] if person == people[b] else person for person in people]
    wrong = [pair for pair in pairs if (people[pair[0]] == people[pair[1]]) != (pair in same)]
    if wrong:
        files = list(numbers)
        raise ValueError(
            f"{path}: {files[wrong[0][0]]} and {files[wrong[0][1]]} are two people in one line and one in others"
        )
    return Pictures([Shown(file, person) for file, person in zip(numbers, people, strict=True)], pairs)


def read(file: Path) -> Any:
    """A picture, uint8 [H, W, 3] in BGR, upright."""
    import numpy as np
    from PIL import Image, ImageOps

    with Image.open(file) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGB")
        return np.ascontiguousarray(np.asarray(upright)[..., ::-1])


def comfyui_folder(given: Path | None) -> Path:
    """ComfyUI's folder.

    Raises:
        FileNotFoundError: there is none.
    """
    places = [given, os.environ.get("COMFYUI"), ROOT.parents[1] if len(ROOT.parents) > 1 else None]
    searched = [Path(place).resolve() for place in places if place]
    for folder in searched:
        if (folder / "folder_paths.py").is_file():
            return folder
    raise FileNotFoundError(
        f"ComfyUI was not found in {', '.join(map(str, searched))}; name its folder with --comfyui, or install the "
        "pack in ComfyUI's custom_nodes"
    )


def load(comfyui: Path) -> Any:
    """Make the pack's modules importable beside ComfyUI's; returns a function that imports one by its name."""
    sys.path.insert(0, str(comfyui))
    cli: Any = importlib.import_module("comfy.cli_args")
    # ComfyUI's own models are not needed, so it need not look for a GPU; ONNX Runtime finds its own.
    cli.args.cpu = True
    package = ModuleType(PACK)
    package.__path__ = [str(ROOT)]
    sys.modules[PACK] = package

    def part(name: str) -> ModuleType:
        return importlib.import_module(f"{PACK}.{name}")

    part("host.model_folders").register_model_folders()
    return part


if __name__ == "__main__":
    sys.exit(main())
