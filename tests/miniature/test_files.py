"""Model files are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch

from miniature.files import TensorSpec, stream_safetensors, whole_file


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


class TestFiles:
    def test_a_file_that_fails_half_way_leaves_nothing(self, tmp_path):
        def fail() -> None:
            with whole_file(tmp_path / "new" / "file") as stream:
                stream.write(b"half")
                raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            fail()
        assert list((tmp_path / "new").iterdir()) == []

    def test_a_failed_rewrite_leaves_the_old_file(self, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(b"old")

        def fail() -> None:
            with whole_file(path) as stream:
                stream.write(b"new")
                raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            fail()
        assert contents(tmp_path) == {"file": b"old"}

    def test_safetensors_reads_back_what_was_streamed(self, tmp_path):
        tensors = {
            "matrix": torch.randn(3, 5).half().T,
            "scalar": torch.tensor(2.5),
            "numbers": torch.arange(7),
            "last": torch.randn(1, 2, 3),
        }
        specs = {name: TensorSpec(tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
        with whole_file(tmp_path / "file") as stream:
            stream_safetensors(stream, specs, lambda name, _: tensors[name])
        read = safetensors.torch.load_file(tmp_path / "file")
        assert read.keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert read[name].dtype == tensor.dtype
            assert torch.equal(read[name], tensor)

    @pytest.mark.parametrize("made", [torch.zeros(2, 3), torch.zeros(3, 2).half()])
    def test_a_tensor_of_another_shape_or_dtype_is_refused(self, tmp_path, made):
        specs = {"weight": TensorSpec((2, 3), torch.float16)}
        with (tmp_path / "file").open("wb") as stream, pytest.raises(ValueError, match="weight"):
            stream_safetensors(stream, specs, lambda *_: made)
