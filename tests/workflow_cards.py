"""The cards by which the editor's template browser shows the shipped workflows: people before and after.

    .venv/bin/python -m tests.workflow_cards           write the card of every workflow
    .venv/bin/python -m tests.workflow_cards NAME ...  write only these

Each workflow runs on the miniature, on people that the renderer draws. All of them take some minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from harness.server import ComfyServer
from harness.workflow import SAMPLE, SAMPLE_RESULT, read_shipped, renamed, template_file
from lab.hostile.cases import Painter
from miniature.server import running_server
from miniature.workflow import on_miniature, small_template_file
from tests.people_pictures import in_rows, picture_of

SIDE = 400
"""Of a card, pixels."""
QUALITY = 85
GAP = 4
"""Width of the line between before and after, pixels of the card."""

FACE = 124.0
"""Height of a face in a drawing, pixels: as large as the miniature draws faces."""

PHOTOGRAPH, FINISHED = "photograph.png", "finished.png"

Card = Callable[[ComfyServer, str], Image.Image]


def drawn(seed: int, places: Sequence[tuple[float, float, float]], height: int, width: int) -> Image.Image:
    """Draw people: middle x, middle y and height of each face, in pixels."""
    return picture_of(Painter(seed, 0).scene(places, height, width, widest=12.0, widest_roll=6.0))


def ran(server: ComfyServer, name: str, pictures: dict[str, Image.Image]) -> list[Image.Image]:
    """Run a shipped workflow on pictures in the input folder; return what it saved.

    Args:
        server: with the miniature.
        name: of the workflow.
        pictures: by the file names, or paths below the input folder, that the workflow names; PHOTOGRAPH and
            FINISHED take the places of the samples.

    Raises:
        WorkflowFailed: the run failed.
        RuntimeError: it saved nothing.
    """
    files = {server.base_directory / "input" / path: picture for path, picture in pictures.items()}
    for path, picture in files.items():
        path.parent.mkdir(exist_ok=True)
        picture.save(path)
    try:
        workflow = on_miniature(read_shipped(name))
        for node in workflow.values():
            node["inputs"] = renamed(node["inputs"], {SAMPLE: PHOTOGRAPH, SAMPLE_RESULT: FINISHED})
        shown = server.image_files(server.run(workflow, timeout=1200))
        if not shown:
            raise RuntimeError(f"{name} saved nothing")
        return [opened(path) for path in shown]
    finally:
        for path in files:
            path.unlink()


def opened(path: Path) -> Image.Image:
    """Read a picture whole."""
    with Image.open(path) as image:
        return image.convert("RGB")


def beside(pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    """A card: pictures of one size in rows, with lines between them, cut to the middle square and scaled."""
    width, height = pictures[0].size
    rows = -(-len(pictures) // columns)
    card = in_rows(pictures, columns, round(GAP * max(columns * width, rows * height) / SIDE))
    short = min(card.size)
    left, top = (card.width - short) // 2, (card.height - short) // 2
    return card.crop((left, top, left + short, top + short)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def one_face(seed: int) -> Card:
    """The card of a workflow for photographs: one person before on the left, after on the right."""

    def make(server: ComfyServer, name: str) -> Image.Image:
        before = drawn(seed, [(160.0, 150.0, FACE)], 320, 320)
        pictures = {PHOTOGRAPH: before}
        if name == "check-only":
            pictures[FINISHED] = ran(server, "group-photo", {PHOTOGRAPH: before})[0]
        after = ran(server, name, pictures)[0]
        return beside([picture.crop((80, 0, 240, 320)) for picture in (before, after)], 2)

    return make


def group(seed: int) -> Card:
    """The card of a group: before above, after below."""

    # The first template is the same graph in one node and has no form for the API.
    def make(server: ComfyServer, _: str) -> Image.Image:
        places = [(75.0, 105.0, 96.0), (200.0, 90.0, 100.0), (325.0, 108.0, 98.0)]
        before = drawn(seed, places, 200, 400)
        return beside([before, ran(server, "group-photo", {PHOTOGRAPH: before})[0]], 1)

    return make


def folder(seed: int) -> Card:
    """The card of a folder: three photographs above, their results below."""

    def make(server: ComfyServer, name: str) -> Image.Image:
        before = [drawn(seed + number, [(100.0, 140.0, FACE)], 300, 200) for number in range(3)]
        after = ran(server, name, {f"photographs/{number}.png": one for number, one in enumerate(before)})
        return beside([*before, *after], 3)

    return make


def sweep(seed: int) -> Card:
    """The card of the sweep: the middle of a face before and at the two weakest scales; exact above, fast below."""

    def make(server: ComfyServer, name: str) -> Image.Image:
        made = ran(server, name, {PHOTOGRAPH: drawn(seed, [(160.0, 150.0, FACE)], 320, 320)})[0]
        side = made.height // 2
        lefts = [number * side + side // 6 for number in range(3)]
        return beside([made.crop((left, 0, left + 2 * side // 3, 2 * side)) for left in lefts], 3)

    return make


CARDS: dict[str, Card] = {
    "start": group(12),
    "group-photo": group(12),
    "keep-age-and-sex": one_face(5),
    "change-age": one_face(21),
    "keep-eyes-and-mouth": one_face(33),
    "batch-folder": folder(40),
    "check-only": one_face(52),
    "portrait": one_face(60),
    "guidance-sweep": sweep(63),
    "composed": one_face(71),
    "made-up-person": one_face(87),
}


def main() -> None:
    """Write the cards."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.workflow_cards", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[*CARDS, []], metavar="NAME", help="a workflow (default: all)")
    names = parser.parse_args().names or CARDS
    with running_server(None, cpu=True) as server:
        for name in names:
            card = CARDS[name](server, name)
            files = [template_file(name, ".jpg")]
            if small_template_file(name).is_file():
                files.append(small_template_file(name, ".jpg"))
            for file in files:
                card.save(file, quality=QUALITY, optimize=True)
            print(name, flush=True)


if __name__ == "__main__":
    main()
