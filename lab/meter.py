"""The meter, which reads from the pixels what a rendered 128 px portrait shows.

The measurement needs it to see what an anonymised face has kept; the pack does not use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

METER_FILE = Path("meter", "meter.onnx")
"""Path of the meter below a models folder."""

SIDE = 128
"""Side of a portrait in pixels."""

POSE_NAMES = ("yaw", "pitch", "roll", "gaze_yaw", "gaze_pitch")
FLAG_NAMES = ("smile", "open_mouth", "glasses", "beard", "male")
CLASS_COUNTS = {"ethnicity": 3, "expression": 7, "hair_colour": 5}
"""Number of classes of each class output, in the order of the tuples in `training.portraits`."""

Values = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Readings:
    """What N portraits show.

    Attributes:
        pose: [N, 5] degrees, in the order of POSE_NAMES and with the signs of `render.truth`.
        landmarks: [N, 5, 2] as fractions of the side, in InsightFace's order; (0, 0) is the picture's corner.
        smile: [N] probability of raised corners of the mouth.
        open_mouth: [N] probability of a gap between the lips.
        glasses: [N] probability of glasses of any kind.
        beard: [N] probability of a beard of any kind.
        male: [N] probability.
        ethnicity: [N, 3] probabilities of `render.identity.ETHNICITIES`.
        expression: [N, 7] probabilities of `render.nuisance.EXPRESSIONS`.
        hair_colour: [N, 5] probabilities of `render.appearance.HAIR_COLOURS`; meaningless for bald people.
        age: [N] years.
    """

    pose: Values
    landmarks: Values
    smile: Values
    open_mouth: Values
    glasses: Values
    beard: Values
    male: Values
    ethnicity: Values
    expression: Values
    hair_colour: Values
    age: Values


class Meter:
    """Reads portraits with a file that `training.meter` wrote."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Open the file.

        Args:
            path: the file `meter.onnx`.
            threads: for ONNX Runtime; 0 lets it choose.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        import onnxruntime

        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: train the meter first (python -m lab.training)")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def read(self, images: NDArray[np.uint8], at_once: int = 64) -> Readings:
        """Read portraits in FFHQ's framing.

        Args:
            images: uint8 [N, SIDE, SIDE, 3], RGB, N at least 1.
            at_once: portraits in one batch.

        Raises:
            ValueError: the images have another shape or dtype.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (SIDE, SIDE, 3) or len(images) == 0:
            raise ValueError(
                f"portraits must be uint8 [N, {SIDE}, {SIDE}, 3] with N > 0, not {images.dtype} {list(images.shape)}"
            )
        names = [output.name for output in self._session.get_outputs()]
        parts = []
        for start in range(0, len(images), at_once):
            chosen = images[start : start + at_once].transpose(0, 3, 1, 2)
            parts.append(self._session.run(names, {"image": np.ascontiguousarray(chosen, np.float32) / 255}))
        seen = {name: np.concatenate(columns) for name, columns in zip(names, zip(*parts, strict=True), strict=True)}
        flags = dict(zip(FLAG_NAMES, seen.pop("flags").T, strict=True))
        landmarks = seen.pop("landmarks").reshape(-1, 5, 2)
        return Readings(landmarks=landmarks, age=seen.pop("age")[:, 0], **flags, **seen)
