"""Runs the models that the user declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.in_process import part
from reverse_personalization.geometry.faces import Detection

from .crops import Picture, prepared
from .declaration import OF_WHOLE_PICTURES, Declaration, Output, declaration_file, read_declaration
from .decoding import Values, decoded


@dataclass(frozen=True, eq=False)
class Estimator:
    """A declared model with an open session.

    Attributes:
        file: ONNX.
        declaration: what it takes and gives.
        session: ONNX Runtime's.
    """

    file: Path
    declaration: Declaration
    session: Any

    def read(self, picture: Picture, face: Detection | None) -> dict[str, Values]:
        """Read a picture.

        Args:
            picture: RGB.
            face: in the picture, or None if none was found; then only what a whole picture is enough for is read.

        Returns:
            By name of the declared output, its values, see `decoding.decoded`.

        Raises:
            ValueError: an output has another width than declared.
            RuntimeError: a value is not finite.
        """
        whole = self.declaration.input.crop == "whole"
        wanted = [
            output
            for output in self.declaration.outputs
            if face is not None or (whole and output.kind in OF_WHOLE_PICTURES)
        ]
        if not wanted:
            return {}
        given = self.session.get_outputs()
        answers = self.session.run(
            None, {self.session.get_inputs()[0].name: prepared(self.declaration.input, picture, face)}
        )
        raw = dict(zip((one.name for one in given), answers, strict=True))
        return {output.name: self._decoded(output, raw) for output in wanted}

    def _decoded(self, output: Output, raw: Mapping[str, Any]) -> Values:
        try:
            values = decoded(output, [raw[name] for name in output.sources or tuple(raw)[:1]])
        except ValueError as error:
            raise ValueError(f"{self.file}: {error}; correct {declaration_file(self.file)}") from None
        if not np.isfinite(values).all():
            raise RuntimeError(
                f'{self.file} gave "{output.name}" a value that is not finite; the file is damaged, or the declared '
                "input is not the one that it was trained on"
            )
        return values


def open_estimators(files: Sequence[Path], provider: str) -> list[Estimator]:
    """Open declared models.

    Args:
        files: ONNX, each with its declaration beside it.
        provider: "auto" or a key of `host.face_packs.PROVIDERS`.

    Raises:
        FileNotFoundError: a model or its declaration is missing.
        ValueError: a declaration is wrong, names an output that the model does not have, or two measure the same.
        RuntimeError: ONNX Runtime cannot open a file.
    """
    declared = [(file, read_declaration(declaration_file(file))) for file in files]
    titles = [f"{one.name}: {output.name}" for _, one in declared for output in one.outputs]
    twice = sorted({title for title in titles if titles.count(title) > 1})
    if twice:
        raise ValueError(f'two models declare "{twice[0]}"; give one of them another name')
    return [_opened(file, declaration, provider) for file, declaration in declared]


def _opened(file: Path, declaration: Declaration, provider: str) -> Estimator:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as ort

    if not file.is_file():
        raise FileNotFoundError(f"the model {file} is missing; expected an ONNX file")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # By default it takes all cores, with threads that spin while they wait.
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(
            str(file), options, providers=part("host.face_packs").available_providers(provider)
        )
    except (ort.Fail, ort.InvalidArgument, ort.InvalidGraph, ort.InvalidProtobuf, ort.NotImplemented) as error:
        raise RuntimeError(f"{file} cannot be opened ({error}); expected an ONNX model") from error
    names = [one.name for one in session.get_outputs()]
    for output in declaration.outputs:
        unknown = [name for name in output.sources if name not in names]
        if unknown or (not output.sources and len(names) > 1):
            what = f"has no output {', '.join(unknown)}" if unknown else f"has {len(names)} outputs"
            raise ValueError(
                f'{file} {what}; expected "from" of "{output.name}" in {declaration_file(file)} to name some of '
                f"{', '.join(names)}"
            )
    return Estimator(file, declaration, session)
