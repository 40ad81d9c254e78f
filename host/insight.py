"""InsightFace at work: find a model pack, open its ONNX sessions, search a picture, embed a face.

A picture is uint8 [H, W, 3] in BGR, as InsightFace takes it. insightface, onnxruntime and cv2 are imported
where they are used: importing this module stays cheap and works without them. Nothing is ever downloaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import folder_paths
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..reverse_personalization.face_search import Look, fragments, search_plan, visible_part
from ..reverse_personalization.faces import EMBEDDING_WIDTH, Detection, Face, HeadPose
from .model_folders import INSIGHTFACE_FOLDER

DEFAULT_PACK = "buffalo_l"

PROVIDERS = {
    "CPU": "CPUExecutionProvider",
    "CUDA": "CUDAExecutionProvider",
    "TensorRT": "TensorrtExecutionProvider",
    "ROCm": "ROCMExecutionProvider",
    "MIGraphX": "MIGraphXExecutionProvider",
    "OpenVINO": "OpenVINOExecutionProvider",
    "CoreML": "CoreMLExecutionProvider",
    "DirectML": "DmlExecutionProvider",
}
"""What the user chooses, and what ONNX Runtime calls it."""

# TensorRT is left out: it compiles every model for minutes before the first face.
AUTO_PROVIDERS = ("CUDA", "ROCm", "MIGraphX", "DirectML", "CoreML", "OpenVINO", "CPU")

CROP_SIDE = 112
"""Side in pixels of the crops that the recogniser takes."""

MIN_VISIBLE = 0.25
"""A find is dropped if less of its box than this lies in the picture: there is no face to change there."""

EXPECTED_FILES = (
    "Expected in that folder: a face detector in SCRFD form with landmarks (det_10g.onnx in buffalo_l) and a "
    "face recogniser of 112x112 crops with 512 outputs (w600k_r50.onnx in buffalo_l)."
)


def choose_providers(choice: str, available: Sequence[str]) -> list[Any]:
    """ONNX Runtime's `providers` argument for the user's choice.

    Args:
        choice: "auto" or a key of `PROVIDERS`.
        available: what `onnxruntime.get_available_providers()` returned.

    Returns:
        The provider, with options where its defaults do not suit, then the CPU for what it cannot run.

    Raises:
        ValueError: this ONNX Runtime does not have the provider.
    """
    names = [name for name, provider in PROVIDERS.items() if provider in available]
    if choice == "auto":
        choice = next(name for name in AUTO_PROVIDERS if name in names)
    elif choice not in names:
        raise ValueError(
            f'the provider is "{choice}", but the installed ONNX Runtime has only {", ".join(names)}; choose '
            f'one of these or "auto", or replace onnxruntime with the build that has {choice}'
        )
    if choice == "CPU":
        return [PROVIDERS["CPU"]]
    if choice == "CUDA":
        # Its default times every algorithm for every new input size: seconds a look, in every execution.
        return [(PROVIDERS["CUDA"], {"cudnn_conv_algo_search": "HEURISTIC"}), PROVIDERS["CPU"]]
    return [PROVIDERS[choice], PROVIDERS["CPU"]]


def installed_packs() -> list[str]:
    """Names of the folders under `models` of every registered InsightFace folder, sorted.

    `DEFAULT_PACK` is among them even where it is not installed: executing says what is missing and where.
    """
    packs = {DEFAULT_PACK}
    for root in folder_paths.get_folder_paths(INSIGHTFACE_FOLDER):
        models = Path(root, "models")
        if models.is_dir():
            packs.update(entry.name for entry in models.iterdir() if entry.is_dir())
    return sorted(packs)


def find_pack(name: str) -> Path:
    """The folder with the pack's ONNX files.

    Archives are often unpacked into a folder of their own name, so one folder further down is also searched.

    Args:
        name: of the pack, as `installed_packs` lists it.

    Raises:
        FileNotFoundError: no registered InsightFace folder has such a pack.
    """
    searched = []
    for root in folder_paths.get_folder_paths(INSIGHTFACE_FOLDER):
        folder = Path(root, "models", name)
        if not folder.is_dir():
            searched.append(f"  {folder} (no such folder)")
            continue
        nested = sorted(entry for entry in folder.iterdir() if entry.is_dir())
        for candidate in [folder, *nested]:
            if any(candidate.glob("*.onnx")):
                return candidate
        searched.append(f"  {folder} (no .onnx file in it)")
    raise FileNotFoundError(
        f'the InsightFace model pack "{name}" is not installed. Searched:\n'
        + "\n".join(searched)
        + f"\n{EXPECTED_FILES}\nUnpack the pack into one of the folders above; this node never downloads it."
    )


def import_remedy(error: ImportError) -> str:
    """What the user should do about an InsightFace that cannot be imported, in one line."""
    if error.name == "insightface":
        return "InsightFace is not installed; run: python -m pip install 'insightface>=2.0' (ComfyUI's Python)"
    if "libGL" in str(error) or error.name == "cv2":
        return (
            f"OpenCV cannot be imported ({error}); run: python -m pip uninstall -y opencv-python && "
            "python -m pip install opencv-python-headless (ComfyUI's Python)"
        )
    if "onnxruntime" in str(error).lower().replace(" ", ""):
        return (
            f"ONNX Runtime cannot be imported ({error}); run: python -m pip install onnxruntime "
            "(ComfyUI's Python; for NVIDIA onnxruntime-gpu in its place, never both)"
        )
    return (
        f"InsightFace cannot be imported ({error}); run: python -m pip install --upgrade 'insightface>=2.0' "
        "(ComfyUI's Python)"
    )


def import_model_zoo() -> ModuleType:
    """InsightFace's model loader.

    Raises:
        RuntimeError: InsightFace or what it stands on cannot be imported; the message is the remedy.
    """
    try:
        from insightface import model_zoo
    except ImportError as error:
        raise RuntimeError(import_remedy(error)) from error
    return model_zoo


@dataclass(frozen=True, eq=False)
class FacePack:
    """An open model pack: its sessions live as long as this object.

    Attributes:
        name: of the pack.
        provider: the ONNX Runtime provider the recogniser really runs on.
        detector: InsightFace's SCRFD.
        recogniser: InsightFace's ArcFace model.
        genderage: InsightFace's model of age and sex, or None.
        landmarker: InsightFace's 68 landmarks in space, which give the head pose, or None.
    """

    name: str
    provider: str
    detector: Any
    recogniser: Any
    genderage: Any | None
    landmarker: Any | None

    def search(self, picture: NDArray[np.uint8], det_size: int) -> list[Detection]:
        """All faces of a picture, the surest first.

        Args:
            picture: uint8 [H, W, 3], BGR.
            det_size: pixels, see `search_plan`.

        Returns:
            In pixels of the picture; a face that several looks found is in it once, as the surest saw it.
        """
        height, width = picture.shape[:2]
        fixed = self.detector.static_input_size
        boxes, landmarks, looks = [], [], []
        for number, look in enumerate(search_plan(height, width, det_size, max(fixed) if fixed else None)):
            found, points = self._look(picture, look)
            boxes.append(found)
            landmarks.append(points)
            looks.append(np.full(len(found), number))
        all_boxes, all_landmarks = np.concatenate(boxes), np.concatenate(landmarks)
        kept = visible_part(all_boxes, height, width) >= MIN_VISIBLE
        kept &= ~fragments(all_boxes, np.concatenate(looks))
        all_boxes, all_landmarks = all_boxes[kept], all_landmarks[kept]
        return [
            Detection(
                box=tuple(all_boxes[i, :4].tolist()),
                landmarks=tuple((x, y) for x, y in all_landmarks[i].tolist()),
                score=float(all_boxes[i, 4]),
            )
            for i in self.detector.nms(all_boxes)
        ]

    def _look(self, picture: NDArray[np.uint8], look: Look) -> tuple[NDArray[Any], NDArray[Any]]:
        """Boxes with scores [F, 5] and landmarks [F, 5, 2] in pixels of the picture."""
        import cv2

        height, width = picture.shape[:2]
        scale = look.scale(height, width)
        # Of a picture thousands of times longer than high, at least a row remains.
        shown = (max(round(width * scale), 1), max(round(height * scale), 1))
        resampling = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        offset = round(look.border * max(height, width) * scale)
        canvas = np.zeros((look.size, look.size, 3), np.uint8)
        canvas[offset : offset + shown[1], offset : offset + shown[0]] = cv2.resize(
            picture, shown, interpolation=resampling
        )
        boxes, landmarks = self.detector.detect(canvas, input_size=(look.size, look.size))
        # Rounding to whole pixels made the two scales differ a little.
        scales = np.array([shown[0] / width, shown[1] / height])
        boxes[:, :4] = ((boxes[:, :4].reshape(-1, 2, 2) - offset) / scales).reshape(-1, 4)
        return boxes, (landmarks - offset) / scales

    def embed(self, picture: NDArray[np.uint8], detection: Detection) -> Face:
        """Whose face it is.

        The recogniser gets the 112x112 crop that the five landmarks define (InsightFace's `norm_crop`).

        Args:
            picture: uint8 [H, W, 3], BGR.
            detection: in pixels of the picture.

        Raises:
            ValueError: the embedding has no direction, so that no identity can be told.
        """
        from insightface.app.common import Face as InsightFace

        face = InsightFace(
            bbox=np.array(detection.box, np.float32),
            kps=np.array(detection.landmarks, np.float32),
            det_score=detection.score,
        )
        embedding = _unit(self.recogniser.get(picture, face), self.recogniser.model_file, detection)
        pose = None
        if self.genderage is not None:
            self.genderage.get(picture, face)
        if self.landmarker is not None:
            self.landmarker.get(picture, face)
            pose = HeadPose(*map(float, face.pose))
        return Face(
            box=detection.box,
            landmarks=detection.landmarks,
            score=detection.score,
            embedding=embedding,
            age=face.age,
            sex={"F": "female", "M": "male", None: None}[face.sex],
            pose=pose,
        )


def _unit(embedding: NDArray[np.float32], model_file: str, detection: Detection) -> Tensor:
    vector = torch.from_numpy(embedding.astype(np.float64))
    norm = vector.norm().item()
    if norm == 0 or not np.isfinite(norm):
        box = ", ".join(f"{side:.0f}" for side in detection.box)
        raise ValueError(
            f"{Path(model_file).name} gave the face at ({box}) an embedding of length {norm}; expected a "
            "finite length above 0: the file is damaged, or the provider miscalculates: try the provider CPU"
        )
    return (vector / norm).float()


def load_pack(name: str, provider: str, threshold: float) -> FacePack:
    """Open a model pack.

    Args:
        name: as `installed_packs` lists it.
        provider: "auto" or a key of `PROVIDERS`.
        threshold: lowest score of a face, in [0, 1].

    Raises:
        FileNotFoundError: the pack, its detector or its recogniser is missing.
        RuntimeError: InsightFace cannot be imported, or one of the pack's files cannot be used.
        ValueError: the provider is not available.
    """
    folder = find_pack(name)
    model_zoo = import_model_zoo()
    import onnxruntime

    providers = choose_providers(provider, onnxruntime.get_available_providers())
    kinds: dict[str, str] = {}
    models: dict[str, Any] = {}
    for file in sorted(folder.glob("*.onnx")):
        model = _load_model(model_zoo, file, providers)
        kind, kinds[file.name] = _classify(model)
        if kind is not None:
            models.setdefault(kind, model)
    for kind, part in (("detection", "face detector"), ("recognition", "face recogniser")):
        if kind not in models:
            there = "\n".join(f"  {file}: {found}" for file, found in kinds.items())
            raise FileNotFoundError(
                f'the InsightFace model pack "{name}" has no {part}. In {folder} there is\n{there}\n'
                f"{EXPECTED_FILES}\nUnpack the whole pack into that folder again."
            )
    models["detection"].prepare(0, det_thresh=threshold)
    return FacePack(
        name=name,
        provider=models["recognition"].session.get_providers()[0],
        detector=models["detection"],
        recogniser=models["recognition"],
        genderage=models.get("genderage"),
        landmarker=models.get("landmark_3d_68"),
    )


def _load_model(model_zoo: ModuleType, file: Path, providers: list[Any]) -> Any:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as ort

    options = onnxruntime.SessionOptions()
    # Errors only: published detectors declare output shapes of one size and warn at every other.
    options.log_severity_level = 3
    try:
        return model_zoo.get_model(
            str(file),
            providers=providers,
            sess_options=options,
            # One session for all input sizes, not one each. CoreML alone cannot change the size.
            static_shape_sessions=providers[0] == PROVIDERS["CoreML"],
        )
    except (
        ort.Fail,
        ort.InvalidArgument,
        ort.InvalidGraph,
        ort.InvalidProtobuf,
        ort.NotImplemented,
        ort.RuntimeException,
        # InsightFace's own way to say that inputs or outputs are none that it knows.
        AssertionError,
        IndexError,
        TypeError,
    ) as error:
        raise RuntimeError(
            f"{file} cannot be used ({str(error) or type(error).__name__}); if it belongs to the pack, it is "
            "damaged or incomplete: replace it with a complete copy; if not, remove it from the folder"
        ) from error


def _classify(model: Any) -> tuple[str | None, str]:
    """What a model is to this pack (InsightFace's task name, None for nothing), and in words for the user."""
    task = getattr(model, "taskname", "unknown to InsightFace")
    if task == "detection":
        return (task, "face detector") if model.use_kps else (None, "face detector without landmarks")
    if task == "recognition":
        form = (*model.input_size, model.output_shape[-1])
        fits = form == (CROP_SIDE, CROP_SIDE, EMBEDDING_WIDTH)
        return task if fits else None, "face recogniser, {}x{} -> {}".format(*form)
    return (task if task in ("genderage", "landmark_3d_68") else None), task
