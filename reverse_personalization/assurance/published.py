"""Thresholds that others have published for recognisers, by the sha256 of the recogniser's file.

Only what a public source states is here: the threshold from the one, and from another which file it is. These
thresholds are for one alignment of each face. A recogniser for which nobody states one, such as antelopev2's
glintr100.onnx, is not in the table: `scripts/calibrate.py` measures its threshold.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A published threshold.

    Attributes:
        file: name of the recogniser's file in its pack.
        sha256: of the file.
        threshold: cosine, above 0 and below 1, at or above which two faces at one alignment each count as one person's.
        chosen: how the source chose it, in words.
        threshold_source: where the threshold is stated.
        file_source: where the file's sha256 is stated.
    """

    file: str
    sha256: str
    threshold: float
    chosen: str
    threshold_source: str
    file_source: str


_F1_ON_FOUR_SETS = (
    "largest F1 over the pairs of CALFW, CFPW, CPLFW and LFW together; on single sets it lies between {:.4f} and {:.4f}"
)

PUBLISHED = (
    Published(
        file="w600k_r50.onnx",
        sha256="4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
        threshold=0.2203,
        chosen=_F1_ON_FOUR_SETS.format(0.1866, 0.2469),
        threshold_source="model card of insightface by deepghs on Hugging Face, row buffalo_l, column Eval ALL",
        file_source="Git LFS details of models/buffalo_l/w600k_r50.onnx in public-data/insightface on Hugging Face",
    ),
    Published(
        file="w600k_mbf.onnx",
        sha256="9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f",
        threshold=0.1994,
        chosen=_F1_ON_FOUR_SETS.format(0.1845, 0.2314),
        threshold_source="model card of insightface by deepghs on Hugging Face, row buffalo_s, column Eval ALL",
        file_source="scripts/download-arcface.sh of PhotoPrism on GitHub, for the file in InsightFace's buffalo_s.zip",
    ),
    Published(
        file="face_recognition_sface_2021dec.onnx",
        sha256="0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
        threshold=0.363,
        chosen="the value that OpenCV Zoo's own wrapper of the model takes as its cosine threshold",
        threshold_source="models/face_recognition_sface/sface.py in opencv/opencv_zoo on GitHub",
        file_source="Git LFS pointer of models/face_recognition_sface/face_recognition_sface_2021dec.onnx there",
    ),
)
"""buffalo_l and buffalo_m have w600k_r50.onnx, buffalo_s and buffalo_sc have w600k_mbf.onnx."""


def published_threshold(sha256: str) -> float | None:
    """The threshold that is published for a recogniser, for one alignment of each face; None if none is known.

    Args:
        sha256: of the recogniser's file, 64 hexadecimal digits.
    """
    return next((one.threshold for one in PUBLISHED if one.sha256 == sha256), None)
