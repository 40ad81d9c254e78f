"""The pack's way: shipped workflows, run by ComfyUI's own executor in this process."""

from __future__ import annotations

import gc
import importlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from harness.workflow import Workflow, fill_in, node_of, read_shipped, with_inputs, without_cropping
from lab.hostile.pipeline import Pipeline, known_models
from miniature.workflow import DEFAULT_SCALE, on_miniature

from .setting import Setting


class Pack:
    """ComfyUI with the pack and the miniature, and what it has kept in memory. Use it inside `running_pack`."""

    def __init__(self) -> None:
        self._pipeline = Pipeline()

    def run(self, workflow: Workflow) -> tuple[Path, ...]:
        """Validate and run a workflow as ComfyUI's queue does; what earlier runs left in its cache is used.

        Returns:
            the files that it saved.

        Raises:
            RuntimeError: it failed, or saved nothing.
        """
        made = self._pipeline.run_graph(workflow)
        if made.error or not made.files:
            raise RuntimeError(f"the workflow saved nothing: {made.error or 'no file'}")
        return made.files

    def forget(self) -> None:
        """Unload every model and drop every cached result, as a ComfyUI is that has just started."""
        management: Any = importlib.import_module("comfy.model_management")
        del self._pipeline
        management.unload_all_models()
        gc.collect()
        management.cleanup_models()
        self._pipeline = Pipeline()

    def give(self, photograph: Path) -> str:
        """Put a photograph into the input folder; returns its name there."""
        shutil.copyfile(photograph, self._pipeline.input / photograph.name)
        return photograph.name


@contextmanager
def running_pack(models: Path) -> Iterator[Pack]:
    """The pack on one core, with a models folder, while the `with` block lasts.

    Args:
        models: in ComfyUI's layout.

    Raises:
        FileNotFoundError: a model is missing.
        SetupError: there is no ComfyUI.
    """
    with known_models(models):
        # A network this small finishes before a second thread wakes up; the diffusers script runs the same way.
        torch.set_num_threads(1)
        yield Pack()


def portrait_workflow(photograph: str, setting: Setting) -> Workflow:
    """The shipped workflow of a portrait, at a setting, on the whole picture as the script takes it.

    Args:
        photograph: name in the input folder.
        setting: without attributes, for which the workflow has a node of its own.
    """
    return with_inputs(
        fill_in(without_cropping(on_miniature(read_shipped("portrait"))), photograph, {}),
        DPMSolverInversion={"steps": setting.steps, "denoise": setting.denoise, "seed": setting.seed},
        ReverseIdentityKSampler={"cfg": setting.scale},
    )


def group_workflow(photograph: str, **inputs: dict[str, Any]) -> Workflow:
    """The shipped workflow of a group at one scale, so that no face takes more evaluations than another.

    Args:
        photograph: name in the input folder.
        inputs: further ones by node class.
    """
    filled = fill_in(on_miniature(read_shipped("group-photo")), photograph, {})
    # It shows a sentence in the editor, and is one of the host's extra nodes, which a host without a server lacks.
    del filled[node_of(filled, "PreviewAny")]
    return with_inputs(with_inputs(filled, ReverseIdentityEditRetry={"scales": f"{DEFAULT_SCALE:g}"}), **inputs)
