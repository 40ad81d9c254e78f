"""While a run lasts: cancelling, previews and progress."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.in_process import part
from tests.small_model import SmallModel


@pytest.fixture(scope="module")
def small() -> SmallModel:
    return SmallModel()


@pytest.mark.parametrize("evaluation", [1, 4])
@pytest.mark.parametrize("node", ["inversion", "sampler"])
def test_cancelling_takes_effect_within_one_evaluation(small: SmallModel, node: str, evaluation: int) -> None:
    import comfy.model_management

    trajectory = small.invert(small.latent(), steps=8)
    calls = 0

    def cancel(*args: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == evaluation:
            comfy.model_management.interrupt_current_processing()

    handle = small.model.model.diffusion_model.register_forward_hook(cancel)
    try:
        run = {
            "inversion": lambda: small.invert(small.latent(), steps=8),
            "sampler": lambda: small.sample(trajectory, small.faces(), -10.0),
        }[node]
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            run()
    finally:
        handle.remove()
        comfy.model_management.interrupt_current_processing(False)
    assert calls == evaluation
    assert small.sample(trajectory, small.faces(), 0.0).isfinite().all()


def test_previews_and_progress(small: SmallModel, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.utils
    import latent_preview
    from comfy.cli_args import LatentPreviewMethod

    seen: list[tuple[int, int, Any]] = []
    monkeypatch.setattr(latent_preview.args, "preview_method", LatentPreviewMethod.Latent2RGB)
    monkeypatch.setattr(
        comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, preview, **_: seen.append((value, total, preview))
    )
    trajectory = small.invert(small.latent(), steps=5, batch=2)
    small.sample(trajectory, small.faces(), -10.0)
    assert [entry[:2] for entry in seen] == [(step, 5) for step in range(1, 6)] * 2
    assert all(preview is not None and preview[1].size == (8, 8) for _, _, preview in seen)


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"feature_flags": {"supports_preview_metadata": True}}, [("step 1 of 4", "8", "somebody")]),
        ({"feature_flags": {}}, []),
        (None, []),
    ],
    ids=["the editor", "a simple client", "nobody is connected"],
)
def test_words_go_to_those_who_understand_them(
    small: SmallModel, metadata: dict[str, Any] | None, told: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = part("host.progress")
    said: list[Any] = []
    server = SimpleNamespace(
        client_id="somebody",
        sockets_metadata={} if metadata is None else {"somebody": metadata},
        send_progress_text=lambda *what: said.append(what),
    )
    monkeypatch.setattr(progress.PromptServer, "instance", server, raising=False)
    monkeypatch.setattr(progress, "get_executing_context", lambda: SimpleNamespace(node_id="8"))
    progress.say_progress("step 1 of 4")
    assert said == told
