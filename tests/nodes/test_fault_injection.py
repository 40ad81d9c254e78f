"""Every node of the whole graph, and what runs under it, made to throw, to return nothing, and to return NaN.

Whatever fails: a file that is there afterwards shows nobody.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.in_process import load_pack, part
from lab.hostile.cases import Case as HostileCase
from lab.hostile.cases import Painter
from lab.hostile.files import leaks, read_saved, write_input
from lab.hostile.judging import Judge, levels
from lab.hostile.pipeline import Options, Pipeline, Run, graph, known_models, provide_models

OPTIONS = Options(steps=2, first=False, unchanged=False, no_face="block")

NODES = {
    "faces": "FaceEmbed",
    "crops": "ReverseIdentityFaceCrop",
    "latent": "VAEEncode",
    "inversion": "DPMSolverInversion",
    "retry": "ReverseIdentityRetrySampler",
    "paste": "ReverseIdentityFacePaste",
    "check": "ReverseIdentityCheck",
    "cover": "ReverseIdentityFaceCover",
    "save": "ReverseIdentitySaveImage",
}

nonces = itertools.count()


class InjectedError(RuntimeError):
    """What is thrown."""


@dataclasses.dataclass(frozen=True)
class Scene:
    """A photograph in the graph, and what the graph made of it when nothing failed."""

    pipeline: Pipeline
    name: str
    clean: Run
    judge: Judge
    options: Options = OPTIONS

    def run(self, node: str, **inputs: Any) -> Run:
        """Run again from a node on, with other inputs: everything before it comes from the host's cache."""
        workflow = graph(self.name, 0, self.options)
        # An input that no node knows: the host passes it by, but it is part of the cache's key.
        workflow[node]["inputs"] |= {"nonce": next(nonces), **inputs}
        return self.pipeline.run_graph(workflow)

    def recognisable(self, file: Path) -> list[float]:
        """Cosines at or above the threshold of the original's faces with the same places in a file."""
        [item] = self.clean.items
        before, after = levels(item.original[0]), read_saved(file)
        cosines = [self.judge.similarity(before, after, np.array(face.landmarks)) for face in item.faces]
        return [cosine for cosine in cosines if cosine >= self.judge.threshold]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with known_models(provide_models(tmp_path_factory.mktemp("models"))):
        pipeline = Pipeline()
        painter = Painter(3, 0)
        photograph = painter.scene([(110, 150, 130), (300, 160, 150)], 320, 420, widest=10.0)
        name = write_input(HostileCase(0, "group", (photograph,)), pipeline.input)
        clean = pipeline.run_graph(graph(name, 0, OPTIONS))
        yield Scene(pipeline, name, clean, Judge(OPTIONS.checker))


def test_without_a_fault_a_file_is_saved_in_which_nobody_is_recognised(scene: Scene):
    assert scene.clean.error == ""
    [item] = scene.clean.items
    assert len(item.faces) >= 2
    [file] = item.saved
    assert scene.recognisable(file) == []
    assert {path.suffix for path in scene.clean.files} == {".png", ".json"}
    assert [leaks(path) for path in scene.clean.files] == [[], []]
    faces = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))["faces"]
    assert len(faces) >= len(item.faces)
    for face in faces[: len(item.faces)]:
        tried = [attempt["scale"] for attempt in face["retries"]]
        assert tried == list(OPTIONS.scales)[: len(tried)]
        assert face["retries"][-1]["anonymised"] or tried == list(OPTIONS.scales)


def test_the_judge_sees_who_was_left_as_they_were(scene: Scene, tmp_path: Path):
    from PIL import Image

    [item] = scene.clean.items
    Image.fromarray(levels(item.original[0])).save(tmp_path / "untouched.png")
    assert len(scene.recognisable(tmp_path / "untouched.png")) >= 2


def throw(*args: Any, **kwargs: Any) -> Any:
    raise InjectedError("the injected fault")


def give(value: Any) -> Callable[..., Any]:
    return lambda *args, **kwargs: value


def spoilt(function: Callable[..., Any], spoil: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: spoil(function(*args, **kwargs))


def to_nan(value: Any) -> Any:
    """The same with every number that is not a position or a size made NaN."""
    if isinstance(value, torch.Tensor):
        return torch.full_like(value, torch.nan) if value.is_floating_point() else value
    if isinstance(value, np.ndarray):
        return np.full_like(value, np.nan) if value.dtype.kind == "f" else value
    if isinstance(value, float):
        return float("nan")
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(to_nan(one) for one in value)
    if isinstance(value, dict):
        return {key: to_nan(one) for key, one in value.items()}
    if dataclasses.is_dataclass(value):
        changed = {f.name: to_nan(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
        return dataclasses.replace(value, **changed)
    return value


@pytest.fixture(autouse=True)
def nothing_else_runs(scene: Scene) -> None:
    """Before every test the host's cache holds the clean run: a fault meets no node before the one that it is for."""
    assert scene.pipeline.run_graph(graph(scene.name, 0, OPTIONS)).error == ""


def from_there_on(run: Run, node: str) -> bool:
    """Whether a run's error, if it had one, is of a node or of one after it."""
    kinds = [*NODES.values()]
    later = ("VAEDecode", *kinds[kinds.index(NODES[node]) :])
    return not run.error or run.error.startswith(tuple(f"{kind}: " for kind in later))


def safe(scene: Scene, run: Run) -> None:
    """Nobody in any file that the run left, no picture without its report, and no half-written file."""
    pictures = [path for path in run.files if path.suffix == ".png"]
    assert [scene.recognisable(path) for path in pictures] == [[]] * len(pictures)
    assert [leaks(path) for path in run.files] == [[]] * len(run.files)
    assert sorted(path.with_suffix(".json") for path in pictures) == sorted(
        path for path in run.files if path.suffix != ".png"
    )


FAULTS: dict[str, Callable[[Any], Any]] = {
    "throws": lambda function: throw,
    "gives nothing": lambda function: give(None),
    "gives NaN": lambda function: spoilt(function, to_nan),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("node", NODES)
def test_a_node_that_fails_leaves_nobody_in_a_file(scene: Scene, node: str, fault: str, monkeypatch):
    import nodes as host

    # The pack's own classes and the host's are patched alike: where the executor calls them.
    classes = {**host.NODE_CLASS_MAPPINGS, **load_pack().node_classes}
    kind = classes[NODES[node]]
    if NODES[node] == "VAEEncode":
        method, own = "encode", kind.encode
        monkeypatch.setattr(kind, method, FAULTS[fault](own))
    else:
        own = kind.execute.__func__
        broken = {
            "throws": throw,
            "gives nothing": nothing_from(kind),
            "gives NaN": spoilt(own, spoil_output),
        }[fault]
        monkeypatch.setattr(kind, "execute", classmethod(broken))
    run = scene.run(node)
    safe(scene, run)
    assert run.files or run.error or (node, fault) == ("save", "gives nothing")
    if fault == "throws":
        assert run.error.startswith(f"{NODES[node]}: InjectedError")
        assert run.files == ()


def nothing_from(kind: Any) -> Callable[..., Any]:
    from comfy_api.latest import io

    return lambda *args, **kwargs: io.NodeOutput(*[None] * len(kind.RETURN_TYPES))


def spoil_output(output: Any) -> Any:
    from comfy_api.latest import io

    return io.NodeOutput(*[to_nan(one) for one in output.result or ()])


def boxes_nan(faces: list[Any]) -> list[Any]:
    return [dataclasses.replace(face, box=(float("nan"),) * 4) for face in faces]


def landmarks_nan(faces: list[Any]) -> list[Any]:
    return [dataclasses.replace(face, landmarks=((float("nan"),) * 2,) * 5) for face in faces]


def landmarks_together(faces: list[Any]) -> list[Any]:
    return [dataclasses.replace(face, landmarks=(face.centre,) * 5) for face in faces]


ENGINES: dict[str, tuple[str, str, str, dict[str, Callable[[Any], Any]]]] = {
    # name: the node to run from, the module, what is patched in it, how
    "detector of the first search": (
        "faces",
        "host.insight",
        "FacePack.search",
        {
            "throws": lambda function: throw,
            "finds nothing": lambda function: give([]),
            "gives boxes of NaN": lambda function: spoilt(function, boxes_nan),
            "gives landmarks of NaN": lambda function: spoilt(function, landmarks_nan),
            "gives one point for all landmarks": lambda function: spoilt(function, landmarks_together),
        },
    ),
    "detector of the check": (
        "check",
        "host.insight",
        "FacePack.search",
        {
            "throws": lambda function: throw,
            "finds nothing": lambda function: give([]),
            "gives boxes of NaN": lambda function: spoilt(function, boxes_nan),
            "gives landmarks of NaN": lambda function: spoilt(function, landmarks_nan),
        },
    ),
    "recogniser of the first search": (
        "faces",
        "host.insight",
        "FacePack.embedding",
        {
            "throws": lambda function: throw,
            "gives nothing": lambda function: give(None),
            "gives NaN": lambda function: spoilt(function, to_nan),
            "gives zeros": lambda function: spoilt(function, np.zeros_like),
        },
    ),
    "recogniser of the check": (
        "check",
        "host.insight",
        "FacePack.embedding",
        {
            "throws": lambda function: throw,
            "gives NaN": lambda function: spoilt(function, to_nan),
            "gives zeros": lambda function: spoilt(function, np.zeros_like),
        },
    ),
    "comparison": (
        "check",
        "reverse_personalization.assurance.checking",
        "Checker.similarity",
        {
            "throws": lambda function: throw,
            "gives nothing": lambda function: give(None),
            "gives NaN": lambda function: spoilt(function, to_nan),
        },
    ),
    "check of a picture": (
        "check",
        "reverse_personalization.assurance.checking",
        "Checker.check",
        {"throws": lambda function: throw, "gives no faces": lambda function: give(())},
    ),
    "sampler": (
        "retry",
        "host.retry",
        "replay_trajectory",
        {
            "throws": lambda function: throw,
            "gives nothing": lambda function: give(None),
            "gives NaN": lambda function: spoilt(function, to_nan),
            "gives zeros": lambda function: spoilt(function, torch.zeros_like),
        },
    ),
    "inversion": (
        "inversion",
        "nodes.dpm_solver_inversion",
        "record_trajectory",
        {
            "throws": lambda function: throw,
            "gives nothing": lambda function: give(None),
            "gives NaN": lambda function: spoilt(function, to_nan),
        },
    ),
    "cropping": (
        "crops",
        "nodes.face_crop",
        "take_crops",
        {
            "throws": lambda function: throw,
            "gives nothing": lambda function: give([]),
            "gives NaN": lambda function: spoilt(function, to_nan),
        },
    ),
    "paste": (
        "paste",
        "nodes.face_paste",
        "paste_",
        {
            "throws": lambda function: throw,
            "changes nothing": lambda function: give(None),
            "writes NaN": lambda function: (
                lambda photo, changed, *args, **kwargs: (
                    photo.fill_(torch.nan),
                    changed.fill_(torch.nan),
                )
            ),
        },
    ),
    "cover": (
        "cover",
        "reverse_personalization.assurance.covering",
        "cover_",
        {
            "throws": lambda function: throw,
            "does nothing": lambda function: give(None),
            "writes NaN": lambda function: lambda picture, *args, **kwargs: picture.fill_(torch.nan),
        },
    ),
    "place of the cover": (
        "cover",
        "reverse_personalization.assurance.covering",
        "place_cover",
        {"throws": lambda function: throw, "gives nothing": lambda function: give(None)},
    ),
    "writing": (
        "save",
        "reverse_personalization.assurance.image_files",
        "write_new",
        {"throws": lambda function: throw, "does nothing": lambda function: give(None)},
    ),
    "encoding": (
        "save",
        "nodes.save_anonymized_image",
        "encode",
        {"throws": lambda function: throw, "gives nothing": lambda function: give(None)},
    ),
}

ENGINE_FAULTS = [(engine, fault) for engine, (_, _, _, faults) in ENGINES.items() for fault in faults]


@pytest.mark.parametrize(("engine", "fault"), ENGINE_FAULTS)
def test_an_engine_that_fails_leaves_nobody_in_a_file(scene: Scene, engine: str, fault: str, monkeypatch):
    node, module, name, faults = ENGINES[engine]
    owner: Any = part(module)
    *holder, leaf = name.split(".")
    for one in holder:
        owner = getattr(owner, one)
    monkeypatch.setattr(owner, leaf, faults[fault](getattr(owner, leaf)))
    run = scene.run(node)
    safe(scene, run)
    assert from_there_on(run, node), run.error
    assert run.files or run.error or (engine, fault) == ("writing", "does nothing")


COVER_FAULTS = [(engine, fault) for engine, fault in ENGINE_FAULTS if engine in ("cover", "place of the cover")]


@pytest.mark.parametrize("method", ["solid", "mosaic", "blur"])
@pytest.mark.parametrize(("engine", "fault"), COVER_FAULTS)
def test_a_cover_that_fails_over_recognisable_faces_stops_the_run(
    recognised: Scene, engine: str, fault: str, method: str, monkeypatch
):
    node, module, name, faults = ENGINES[engine]
    owner: Any = part(module)
    monkeypatch.setattr(owner, name, faults[fault](getattr(owner, name)))
    run = recognised.run(node, method=method)
    assert run.files == ()
    assert run.error.startswith("ReverseIdentityFaceCover: ")


def test_recognisable_faces_are_covered(recognised: Scene):
    """Without a fault: what the faults above would have let through."""
    [item] = recognised.clean.items
    assert [face.status for face in item.verdict][:2] == ["covered", "covered"]
    assert len(item.saved) == 1
    safe(recognised, recognised.clean)


@pytest.fixture(scope="module")
def recognised(scene: Scene) -> Scene:
    """The scene with a scale so weak that everybody stays recognisable and has to be covered."""
    weak = dataclasses.replace(scene, options=dataclasses.replace(OPTIONS, scales=(-0.01,)))
    return dataclasses.replace(weak, clean=weak.run("retry"))


@pytest.mark.parametrize("fault", ["throws", "gives nothing", "gives NaN"])
def test_a_vae_that_fails_leaves_nobody_in_a_file(scene: Scene, fault: str, monkeypatch):
    import comfy.sd

    monkeypatch.setattr(comfy.sd.VAE, "decode", FAULTS[fault](comfy.sd.VAE.decode))
    safe(scene, scene.run("retry"))


def test_a_fault_in_the_middle_of_the_faces_leaves_nobody_in_a_file(scene: Scene, monkeypatch):
    pack = part("host.insight").FacePack
    whole, calls = pack.embedding, itertools.count()

    def second_time_broken(self: Any, picture: Any, face: Any) -> Any:
        return throw() if next(calls) else whole(self, picture, face)

    monkeypatch.setattr(pack, "embedding", second_time_broken)
    run = scene.run("faces")
    assert run.files == ()
    assert run.error.startswith("FaceEmbed: InjectedError")


@pytest.mark.parametrize("node", ["faces", "check"])
def test_a_fault_in_the_middle_of_a_search_leaves_nobody_in_a_file(scene: Scene, node: str, monkeypatch):
    pack = part("host.insight").FacePack
    whole, calls = pack._detect, itertools.count()

    def fifth_view_broken(self: Any, *given: Any) -> Any:
        return throw() if next(calls) == 5 else whole(self, *given)

    monkeypatch.setattr(pack, "_detect", fifth_view_broken)
    run = scene.run(node)
    assert next(calls) == 6
    assert run.files == ()
    assert run.error.startswith(f"{NODES[node]}: InjectedError")


@pytest.fixture(scope="module")
def checks_of_a_run(scene: Scene) -> int:
    """How often a whole run looks whether it was cancelled."""
    import comfy.model_management

    calls = itertools.count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comfy.model_management, "throw_exception_if_processing_interrupted", lambda: next(calls))
        assert scene.run("faces").files
    return next(calls)


@pytest.mark.parametrize("part_done", [0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0])
def test_a_run_that_is_cancelled_leaves_no_file(scene: Scene, checks_of_a_run: int, part_done: float, monkeypatch):
    import comfy.model_management

    calls, checks = itertools.count(), round(part_done * (checks_of_a_run - 1))

    def cancelled() -> None:
        if next(calls) == checks:
            raise comfy.model_management.InterruptProcessingException

    monkeypatch.setattr(comfy.model_management, "throw_exception_if_processing_interrupted", cancelled)
    run = scene.run("faces")
    assert next(calls) == checks + 1, "the run had ended before it was cancelled"
    assert run.files == ()
    assert run.error.endswith("interrupted")
