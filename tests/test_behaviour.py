"""The trained miniature does what the method promises, and each part of the method is needed for it.

The same run with one part of the method broken must break a promise: otherwise the promises could not tell a broken
pack from a sound one.
"""

from collections.abc import Callable
from typing import Any

import pytest

from harness.in_process import part
from lab.render.portrait import Portrait
from tests import behaviour


@pytest.fixture(scope="module")
def people() -> list[Portrait]:
    return behaviour.people()


@pytest.fixture(scope="module")
def models() -> Any:
    loaded = behaviour.trained_models()
    yield loaded
    import folder_paths as paths

    for name in ("checkpoints", "ipadapter", "insightface"):
        paths.folder_names_and_paths[name][0].remove(str(behaviour.WEIGHTS / name))


def without_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """The replay forgets the recorded noise."""
    sampling = part("host.sampling")
    replay = sampling.replay
    monkeypatch.setattr(
        sampling, "replay", lambda denoise, x, z, *rest, **more: replay(denoise, x, z * 0, *rest, **more)
    )


def swapped_branches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scale multiplies the null identity's branch."""
    guider = part("host.guider").NegativeIdentityGuider
    set_cfg = guider.set_cfg
    monkeypatch.setattr(guider, "set_cfg", lambda self, cfg: set_cfg(self, 1.0 - cfg))


def no_lora(monkeypatch: pytest.MonkeyPatch) -> None:
    """The LoRA in the adapter's file is not applied."""
    monkeypatch.setattr(part("host.identity_adapter"), "_add_lora", lambda *_: None)


def no_null_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """The null identity is taken for no adapter at all: its tokens count for nothing."""
    projection = part("reverse_personalization.method.adapter").IdentityProjection
    forward = projection.forward
    monkeypatch.setattr(
        projection, "forward", lambda self, embedding: forward(self, embedding) * embedding.any(-1)[:, None, None]
    )


def test_the_person_goes_and_the_rest_stays(people: list[Portrait], models: Any) -> None:
    assert behaviour.broken_promises(people, behaviour.run(people, models)) == set()


@pytest.mark.parametrize(
    ("break_it", "broken"),
    [
        (without_noise, {"comes back", "stays recognisable", "as recorded"}),
        (swapped_branches, {"comes back", "stays recognisable", "becomes somebody else", "as recorded"}),
        (no_lora, {"as recorded"}),
        (no_null_identity, {"as recorded"}),
    ],
)
def test_a_broken_part_breaks_a_promise(
    people: list[Portrait],
    models: Any,
    monkeypatch: pytest.MonkeyPatch,
    break_it: Callable[[pytest.MonkeyPatch], None],
    broken: set[str],
) -> None:
    break_it(monkeypatch)
    assert behaviour.broken_promises(people, behaviour.run(people, models)) == broken
