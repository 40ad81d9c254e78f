"""Which pictures the lab measures on: people, animals, and neither, judged by eye.

They lie in packages that the host's requirements install and in scikit-image; `pictures.json` names them relative to
site-packages. Of an animation the first picture counts.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LISTS = Path(__file__).with_name("pictures.json")

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class AnnotatedFace:
    """A face in a picture, as somebody who looked at it says.

    Attributes:
        box: x0, y0, x1, y1 in pixels, from the forehead to the chin.
        note: "" for a face, else why a detector need not find it: "drawing", "turned away", "half hidden", "tiny",
            "statue" ...
        person: faces with the same name are one person's; "" is somebody else than everybody.
    """

    box: Box
    note: str = ""
    person: str = ""

    @property
    def side(self) -> float:
        """Longer side of the box, pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])


@dataclass(frozen=True)
class Picture:
    """A picture.

    Attributes:
        path: relative to site-packages.
        kind: "nobody", "animals" or "people".
        shared: whether everybody who works on the project has it in their list.
        faces: of people.
        complete: whether there is nobody else in it than these faces.
    """

    path: str
    kind: str
    shared: bool = False
    faces: tuple[AnnotatedFace, ...] = ()
    complete: bool = True

    @property
    def file(self) -> Path:
        """Where it is.

        Raises:
            FileNotFoundError: the package that holds it is not installed.
        """
        package, _, rest = self.path.partition("/")
        file = _folder(package) / rest
        if not file.is_file():
            raise FileNotFoundError(f"{file} is not there; another release of {package} may have it elsewhere")
        return file

    @property
    def there(self) -> bool:
        """Whether the picture can be had."""
        package, _, rest = self.path.partition("/")
        return importlib.util.find_spec(package) is not None and (_folder(package) / rest).is_file()

    def pixels(self) -> NDArray[np.uint8]:
        """RGB [H, W, 3]."""
        from PIL import Image

        with Image.open(self.file) as opened:
            return np.asarray(opened.convert("RGB")).copy()


@functools.cache
def _folder(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError(f"the package {package} is not installed; the host's requirements bring it")
    return Path(next(iter(found.submodule_search_locations)))


@functools.cache
def pictures() -> tuple[Picture, ...]:
    """All pictures of the lists, those that cannot be had included."""
    content: dict[str, Any] = json.loads(LISTS.read_text(encoding="utf-8"))
    made = [Picture(path, "nobody", shared=True) for path in content["shared"]["no people"]]
    made += [Picture(path, "animals", shared=True) for path in content["shared"]["animals"]]
    made += [Picture(path, "nobody") for path in content["nobody"]]
    made += [Picture(path, "animals") for path in content["animals"]]
    for one in content["people"]:
        faces = tuple(
            AnnotatedFace(tuple(face["box"]), face.get("note", ""), face.get("person", "")) for face in one["faces"]
        )
        made.append(Picture(one["path"], "people", faces=faces, complete=one.get("complete", True)))
    return tuple(made)


def pictures_of(kind: str) -> tuple[Picture, ...]:
    """The pictures of a kind that can be had."""
    return tuple(picture for picture in pictures() if picture.kind == kind and picture.there)


def evenly(some: Sequence[Picture]) -> list[Picture]:
    """Shared pictures first, then all kinds side by side: a run that is stopped leaves a part of each."""
    places: dict[Picture, float] = {}
    for kind in dict.fromkeys(picture.kind for picture in some):
        own = [picture for picture in some if picture.kind == kind and not picture.shared]
        places |= {picture: number / len(own) for number, picture in enumerate(own)}
    return sorted(some, key=lambda picture: places.get(picture, -1.0))
