"""What a large photograph costs, and where: `python -m lab.hostile.cost`.

Draws a group photograph, runs it through the graph of the hostile photographs at the fast quality, and prints how many
seconds of processor time each part of the pack took. A part's time is its own: what it calls, if that is a part as
well, counts there.
"""

from __future__ import annotations

import os

# Networks this small finish before a second thread wakes up.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import functools
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

from harness.in_process import load_pack, part

from .cases import Case, Painter
from .ordinary import ordinary_options
from .pipeline import Item, Pipeline, known_models, provide_models

PEOPLE, HEIGHT, WIDTH, ENLARGED = 5, 750, 1000, 4
"""Number of people, and size of the drawing in pixels, which is enlarged so many times: to 12 megapixels."""

SMALLEST, LARGEST = 60.0, 180.0
"""Heights of the faces in the drawing, hairline to chin, pixels."""

NETWORK = "network"

PARTS = {
    "search: detector": ("host.insight", "FacePack._detect"),
    "search: pictures for the detector": ("host.insight", "_canvas"),
    "search: what the finds say": ("host.insight", "FacePack.search"),
    "embeddings": ("host.insight", "FacePack.embedding"),
    "age, sex and pose": ("host.insight", "FacePack.appearance"),
    "crops": ("nodes.face_crop", "ReverseIdentityFaceCrop.execute"),
    "pasting": ("nodes.face_paste", "ReverseIdentityFacePaste.execute"),
    "check": ("nodes.identity_check", "ReverseIdentityCheck.execute"),
    "covers": ("nodes.face_cover", "ReverseIdentityFaceCover.execute"),
    "saving": ("nodes.save_anonymized_image", "ReverseIdentitySaveImage.execute"),
    "embedding node": ("nodes.face_embed", "FaceEmbed.execute"),
    "retry": ("nodes.identity_edit_retry", "ReverseIdentityEditRetry.execute"),
}
"""Module and function of each part of the pack. A function that others import by name cannot be counted apart."""

HOST_PARTS = {
    NETWORK: ("comfy.samplers", "calc_cond_batch"),
    "VAE": ("comfy.sd", "VAE.decode"),
    "VAE, encoding": ("comfy.sd", "VAE.encode"),
}
"""The same of the host."""


@dataclass
class Clock:
    """Processor time of parts, each without the parts that it calls.

    Attributes:
        seconds: by part.
    """

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _running: list[str] = field(default_factory=list)
    _since: float = 0.0

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time counted as this part's."""

        @functools.wraps(function)
        def counted(*args: Any, **kwargs: Any) -> Any:
            with self.counting(name):
                return function(*args, **kwargs)

        return counted

    @contextmanager
    def counting(self, name: str) -> Iterator[None]:
        """Count the time as this part's while the `with` block lasts."""
        self._switch()
        self._running.append(name)
        try:
            yield
        finally:
            self._switch()
            self._running.pop()

    def _switch(self) -> None:
        now = time.process_time()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now


def run(seed: int, models: Path) -> tuple[Clock, Item]:
    """Draw the photograph, and run it through the graph twice: the first run opens models and is not counted.

    Args:
        seed: of people and picture.
        models: models folder in ComfyUI's layout.

    Returns:
        The processor time of each part, and what the graph made.
    """
    painter = Painter(seed, 0)
    places = painter.places(PEOPLE, HEIGHT, WIDTH, SMALLEST, LARGEST)
    photograph = painter.scene(places, HEIGHT, WIDTH, widest=30.0).enlarged(ENLARGED)
    first = Painter(seed, 1).group(most=1)
    with known_models(models):
        pipeline, clock = Pipeline(), Clock()
        pipeline.run(Case(1, "ordinary", (first,)), ordinary_options())
        with timed_parts(clock), clock.counting("everything else"):
            made = pipeline.run(Case(0, "ordinary", (photograph,)), ordinary_options())
    if made.error or len(made.items) != 1:
        raise RuntimeError(f"the photograph was not saved: {made.error}")
    return clock, made.items[0]


@contextmanager
def timed_parts(clock: Clock) -> Iterator[None]:
    """Count the time of all parts while the `with` block lasts."""
    load_pack()
    places = [(name, part(module), path) for name, (module, path) in PARTS.items()]
    places += [(name, import_module(module), path) for name, (module, path) in HOST_PARTS.items()]
    with ExitStack() as replaced:
        for name, owner, path in places:
            *classes, attribute = path.split(".")
            for one in classes:
                owner = getattr(owner, one)
            own = vars(owner)[attribute]
            method = isinstance(own, classmethod)
            counted: Any = clock.timed(name, own.__func__ if method else own)
            replaced.enter_context(patch.object(owner, attribute, classmethod(counted) if method else counted))
        yield


def figures(clock: Clock, item: Item) -> dict[str, Any]:
    """The parts' seconds, the largest first; all seconds, those outside the network, and what became of the faces."""
    seconds = dict(sorted(clock.seconds.items(), key=lambda entry: -entry[1]))
    total = sum(seconds.values())
    faces = item.verdict.images[0]
    return {
        "seconds": {name: round(one, 2) for name, one in seconds.items()},
        "total": round(total, 2),
        "outside_network": round(total - seconds.get(NETWORK, 0.0), 2),
        "boxes": [[round(side) for side in face.boxes[0]] for face in faces],
        "statuses": [face.said for face in faces],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.hostile.cost", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="seed of people and picture (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="cost-") as folder:
        found = figures(*run(options.seed, provide_models(Path(folder, "models"))))
    for name, seconds in found["seconds"].items():
        print(f"{seconds:8.2f} s  {name}")
    print(f"{found['total']:8.2f} s  together, {found['outside_network']:.2f} s of them outside the network")
    print(f"faces: {', '.join(found['statuses'])}")
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
