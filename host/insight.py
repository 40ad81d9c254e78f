"""InsightFace: search a picture, embed a face, estimate age, sex and head pose.

A picture is uint8 [H, W, 3] in BGR, as InsightFace takes it. insightface and cv2 are imported where they are used:
importing this module stays cheap and works without them. `face_packs` finds the packs on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import comfy.model_management
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..reverse_personalization.assurance.matching import Appearance
from ..reverse_personalization.assurance.verdict import eight_bits
from ..reverse_personalization.errors import MissingModelError
from ..reverse_personalization.geometry.closer_looks import closer_views
from ..reverse_personalization.geometry.evidence import CLEAR, FAINT, LOOK_SCORE, faces_among, found_again
from ..reverse_personalization.geometry.face_search import SearchPlan, View, search_plan, upright_turns
from ..reverse_personalization.geometry.faces import Detection, Face, HeadPose
from ..reverse_personalization.geometry.finds import Finds
from ..reverse_personalization.geometry.flat_faces import without_faces
from ..reverse_personalization.geometry.upright import UPRIGHT_VIEWS, Upright, UprightSquare, one_each, seen_upright
from .face_packs import EXPECTED_FILES, find_pack
from .sessions import FaceModel, face_model, not_finite

SYMMETRIC = (127.5, 127.5)
PIXELS = (0.0, 1.0)
"""What is taken away from pixels in 0 to 255, and what they are divided by, for recognisers of the two kinds."""

LEAST_SCORE = 0.01
"""Lowest threshold: below it every point of a picture is a find, far too many to sort out or wait for."""


@dataclass(frozen=True, eq=False)
class FacePack:
    """A model pack. Its models are opened on first use and shared by all packs that use the same files.

    Attributes:
        name: of the pack.
        threshold: lowest score of a face, all looks taken together, in [LEAST_SCORE, 1].
        detector: InsightFace's SCRFD.
        recogniser: InsightFace's ArcFace model.
        genderage: InsightFace's model of age and sex, or None.
        landmarker: InsightFace's model of 68 landmarks in 3D, which give the head pose, or None.
        other_scale: whether the recogniser's input is scaled otherwise than InsightFace guesses, see `rescaled`.
    """

    name: str
    threshold: float
    detector: FaceModel
    recogniser: FaceModel
    genderage: FaceModel | None
    landmarker: FaceModel | None
    other_scale: bool = False

    @property
    def provider(self) -> str:
        """The ONNX Runtime provider that the recogniser actually runs on."""
        return self.recogniser.provider

    def search(
        self,
        picture: NDArray[np.uint8],
        det_size: int,
        plan: SearchPlan = search_plan,
        *,
        before: Sequence[Detection] = (),
    ) -> list[Detection]:
        """All faces of a picture, the surest first.

        Args:
            picture: uint8 [H, W, 3], BGR.
            det_size: pixels, see `search_plan`.
            plan: which views of the picture are searched.
            before: faces that were in the picture before it was changed; where one was, less than the threshold is
                enough (`evidence.FAINT`).

        Returns:
            Detections in pixels of the picture; a face found in several views appears once, from its surest view. Its
            score is that of `evidence.score`.

        Raises:
            RuntimeError: the detector's output is not finite.
        """
        height, width = picture.shape[:2]
        fixed = self.detector.opened().static_input_size
        # If a fixed size is not square, the view fills its shorter side.
        size = min(fixed) if fixed else None
        views = plan(height, width, det_size, size)
        faces = faces_among(
            self._look(picture, views),
            views,
            partial(self._look_closer, picture),
            partial(self._look_without, picture),
            height,
            width,
            threshold=self.threshold,
            before=before,
            fixed_size=size,
        )
        look = partial(self._look_upright, picture, size)
        return one_each(
            faces, [seen_upright(face, look, FAINT * self.threshold, self.threshold + CLEAR) for face in faces]
        )

    def _look_upright(
        self, picture: NDArray[np.uint8], fixed_size: int | None, square: UprightSquare
    ) -> Upright | None:
        """What closer looks at a square of the picture see of the face in its middle."""
        import cv2

        shown: NDArray[Any] = cv2.warpAffine(
            picture, square.to_square, (square.side, square.side), flags=cv2.INTER_LINEAR
        )
        views = closer_views(square.box, 0, square.side, square.side, fixed_size)[:UPRIGHT_VIEWS]
        return square.face_in(self._look(shown, views), len(views))

    def find_again(self, picture: NDArray[np.uint8], before: Detection) -> Detection | None:
        """A face at the place that it had before it was changed, from closer looks at that place alone.

        Args:
            picture: uint8 [H, W, 3], BGR, the result.
            before: the face in the original, in the same pixels.

        Returns:
            None if less is seen there than `evidence.FAINT` of the threshold.

        Raises:
            RuntimeError: the detector's output is not finite.
        """
        fixed = self.detector.opened().static_input_size
        height, width = picture.shape[:2]
        turns = upright_turns(before.landmarks)
        views = closer_views(np.array(before.box), turns, height, width, min(fixed) if fixed else None)
        return found_again(self._look(picture, views), len(views), before, self.threshold)

    def _look(self, picture: NDArray[np.uint8], views: Sequence[View]) -> Finds:
        """All finds of all views."""
        height, width = picture.shape[:2]
        # Turned and mirrored views share a canvas: shrinking a large picture takes longer than searching it.
        shapes: dict[tuple[Any, ...], list[int]] = {}
        for number, view in enumerate(views):
            shapes.setdefault((view.size, view.border, view.tile), []).append(number)
        boxes, landmarks, makers, cuts = [], [], [], []
        for numbers in shapes.values():
            canvas = _canvas(picture, views[numbers[0]])
            for number in numbers:
                # A large picture has a hundred views.
                comfy.model_management.throw_exception_if_processing_interrupted()
                found, points = self._detect(views[number], *canvas)
                if not (np.isfinite(found).all() and np.isfinite(points).all()):
                    # If dropped, such a face would be missed; if kept, nobody could say where it is.
                    raise not_finite(self.detector.file.name)
                boxes.append(found)
                landmarks.append(points)
                makers.append(np.full(len(found), number))
                cuts.append(views[number].cut_off(found, height, width))
        maker = np.concatenate(makers)
        upright = np.array([view.upright for view in views], bool)[maker]
        return Finds(np.concatenate(boxes), np.concatenate(landmarks), maker, np.concatenate(cuts), upright)

    def _look_closer(self, picture: NDArray[np.uint8], views: Sequence[View]) -> list[NDArray[Any]]:
        """The boxes [F, 5] that each of the views finds."""
        finds = self._look(picture, views)
        return [finds.boxes[finds.views == number] for number in range(len(views))]

    def _look_without(
        self, picture: NDArray[np.uint8], faces: Sequence[Detection], views: Sequence[View]
    ) -> list[NDArray[Any]]:
        """`_look_closer` at the picture with some faces made flat."""
        return self._look_closer(without_faces(picture, [[face] for face in faces]), views)

    def _detect(
        self, view: View, canvas: NDArray[np.uint8], origin: NDArray[np.float64], scales: NDArray[np.float64]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Boxes with scores [F, 5] and landmarks [F, 5, 2] in pixels of the picture; the rest is from `_canvas`."""
        boxes, landmarks = self.detector.opened().detect(
            view.show(canvas), input_size=(view.size, view.size), det_thresh=min(LOOK_SCORE, self.threshold)
        )
        boxes, landmarks = view.upright_boxes(boxes), view.upright_landmarks(landmarks)
        boxes[:, :4] = (boxes[:, :4].reshape(-1, 2, 2) / scales + origin).reshape(-1, 4)
        return boxes, landmarks / scales + origin

    def embed(self, picture: NDArray[np.uint8], detection: Detection) -> Face:
        """Compute a face's identity, age, sex and head pose.

        The recogniser gets the 112x112 crop that the five landmarks define (InsightFace's `norm_crop`).

        Args:
            picture: uint8 [H, W, 3], BGR.
            detection: in pixels of the picture.

        Raises:
            ValueError: the embedding has no direction, so it holds no identity.
        """
        vector = torch.from_numpy(self.embedding(picture, detection))
        norm = vector.norm().item()
        if norm == 0 or not np.isfinite(norm):
            box = ", ".join(f"{side:.0f}" for side in detection.box)
            raise ValueError(
                f"{self.recogniser.file.name} gave the face at ({box}) an embedding of length {norm}; "
                "expected a finite length above 0. The file is damaged or the provider miscalculates; try the "
                "provider CPU"
            )
        age, sex, pose = self.appearance(picture, detection)
        return Face(
            box=detection.box,
            landmarks=detection.landmarks,
            score=detection.score,
            landmarks_agree=detection.landmarks_agree,
            doubtful=detection.doubtful,
            other_landmarks=detection.other_landmarks,
            embedding=(vector / norm).float(),
            age=age,
            sex=sex,
            pose=pose,
        )

    def embedding(self, picture: NDArray[np.uint8], detection: Detection) -> NDArray[np.float64]:
        """The recogniser's raw output for a face, float64 [D], of any length; not finite if the recogniser failed."""
        face, recogniser = _insightface(detection), self.recogniser.opened()
        if not self.other_scale:
            return np.asarray(recogniser.get(picture, face), np.float64)
        from insightface.utils.face_align import norm_crop

        crop = norm_crop(picture, landmark=face.kps, image_size=recogniser.input_size[0])
        mean, scale = PIXELS if (recogniser.input_mean, recogniser.input_std) == SYMMETRIC else SYMMETRIC
        wanted = (crop[..., ::-1].astype(np.float32) - mean) / scale
        # InsightFace takes its own mean away and divides by its own scale.
        levels = wanted * recogniser.input_std + recogniser.input_mean
        return np.asarray(recogniser.forward(levels.transpose(2, 0, 1)[None])[0], np.float64)

    def rescaled(self) -> FacePack:
        """The pack with the recogniser's input scaled in the other of InsightFace's two ways.

        InsightFace guesses from the names of a file's first nodes whether the file takes pixels from -1 to 1, or from 0
        to 255 and scales them by itself.
        """
        return replace(self, other_scale=not self.other_scale)

    def appearance(self, picture: NDArray[np.uint8], detection: Detection) -> Appearance:
        """Age, sex and head pose of a face, each None if the pack has no model for it."""
        face = _insightface(detection)
        if self.genderage is not None:
            self.genderage.opened().get(picture, face)
        pose = None
        if self.landmarker is not None:
            self.landmarker.opened().get(picture, face)
            pose = HeadPose(*map(float, face.pose))
        return Appearance(age=face.age, sex={"F": "female", "M": "male", None: None}[face.sex], pose=pose)


def _canvas(
    picture: NDArray[np.uint8], view: View
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """What a view shows, upright: uint8 [size, size, 3], its corner (x, y) in the picture, and its two scales."""
    import cv2

    scale = view.scale(*picture.shape[:2])
    x0, y0, x1, y1 = view.region(*picture.shape[:2])
    picture = picture[y0:y1, x0:x1]
    height, width = picture.shape[:2]
    # Even of a picture thousands of times wider than high, at least one row remains.
    shown = (max(round(width * scale), 1), max(round(height * scale), 1))
    resampling = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    offset = round(view.border * max(height, width) * scale)
    canvas = np.zeros((view.size, view.size, 3), np.uint8)
    canvas[offset : offset + shown[1], offset : offset + shown[0]] = cv2.resize(
        picture, shown, interpolation=resampling
    )
    # Rounding to whole pixels makes the two scales differ slightly.
    scales = np.array([shown[0] / width, shown[1] / height])
    return canvas, np.array([x0, y0]) - offset / scales, scales


def _insightface(detection: Detection) -> Any:
    """A detection as InsightFace's models take it."""
    from insightface.app.common import Face as InsightFace

    return InsightFace(
        bbox=np.array(detection.box, np.float32),
        kps=np.array(detection.landmarks, np.float32),
        det_score=detection.score,
    )


def load_pack(name: str, provider: str, threshold: float, width: int | None = None) -> FacePack:
    """Find a model pack's files and read from their headers what they are.

    Args:
        name: as `installed_packs` lists it.
        provider: "auto" or a key of `PROVIDERS`.
        threshold: lowest score of a face, in [LEAST_SCORE, 1].
        width: of the embedding that the recogniser must give; None takes any.

    Raises:
        FileNotFoundError: the pack, its detector or its recogniser is missing.
        RuntimeError: InsightFace cannot be imported, or one of the pack's files cannot be used.
        ValueError: the provider is not available, or the threshold is not in [LEAST_SCORE, 1].
    """
    return read_pack(find_pack(name), name, provider, threshold, width)


def read_pack(folder: Path, name: str, provider: str, threshold: float, width: int | None = None) -> FacePack:
    """The pack in a folder; otherwise as `load_pack`."""
    if not LEAST_SCORE <= threshold <= 1:
        raise ValueError(f"the lowest score of a face is {threshold:g}; expected {LEAST_SCORE:g} to 1")
    kinds: dict[str, str] = {}
    models: dict[str, FaceModel] = {}
    for file in sorted(folder.glob("*.onnx")):
        model = face_model(file, provider)
        task, kinds[file.name], own_width = model.kind
        if task is not None and (task != "recognition" or width in (None, own_width)):
            models.setdefault(task, model)
    for task, part in (("detection", "face detector"), ("recognition", "face recogniser")):
        if task not in models:
            there = "\n".join(f"  {file}: {found}" for file, found in kinds.items())
            raise MissingModelError(
                f'the InsightFace model pack "{name}" has no {part}. {folder} contains\n{there}\n'
                f"{EXPECTED_FILES}\nUnpack the whole pack into that folder again."
            )
    return FacePack(
        name=name,
        threshold=threshold,
        detector=models["detection"],
        recogniser=models["recognition"],
        genderage=models.get("genderage"),
        landmarker=models.get("landmark_3d_68"),
    )


def to_picture(image: Tensor) -> NDArray[np.uint8]:
    """Convert an image to the format that InsightFace takes.

    Args:
        image: float [H, W, C], RGB, clipped to [0, 1]; C is 1, 3, or 4 with an alpha that is ignored.

    Returns:
        uint8 [H, W, 3], BGR.
    """
    return np.ascontiguousarray(eight_bits(image[..., :3].expand(-1, -1, 3))[..., ::-1])
