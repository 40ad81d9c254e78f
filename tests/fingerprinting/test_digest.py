"""Digests of values, tensors and functions, without the host."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from reverse_personalization.fingerprinting.digest import UndigestibleError, Weight, digest
from reverse_personalization.fingerprinting.fingerprint import ModelFingerprint
from reverse_personalization.fingerprinting.first_sight import FirstSight, running_cells


def of(value: Any, **options: Any) -> str:
    return digest([("", value)], **options)


DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.uint8, torch.int64, torch.bool]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_weight_counts_by_its_elements_however_it_lies_in_memory(dtype: torch.dtype) -> None:
    values = torch.arange(2 * 8 * 6 * 6).remainder(3).view(2, 8, 6, 6).to(dtype)
    last = values.contiguous(memory_format=torch.channels_last)
    assert not last.is_contiguous()
    assert of(Weight(last)) == of(Weight(values)) == of(Weight(nn.Parameter(values, requires_grad=False)))
    assert of(Weight(values)) != of(Weight(values.bool().logical_not().to(dtype)))
    assert of(Weight(values)) != of(Weight(values.flatten()))


def test_a_weight_that_is_not_in_memory_yet_is_the_zeros_that_the_host_makes_of_it() -> None:
    for shape in ((3,), (40, 50)):
        assert of(Weight(torch.zeros(shape, device="meta"))) == of(Weight(torch.zeros(shape)))


def test_of_a_tensor_that_is_no_weight_every_element_counts() -> None:
    mask = torch.zeros(512, 512)
    for place in (0, 777, -1):
        other = mask.clone()
        other.view(-1)[place] = 1
        assert of(mask) != of(other)


def test_numbers_and_containers() -> None:
    assert of(1) == of(1.0) != of(True)
    assert of(2**60) != of(2**60 + 1)
    assert of({"a": 1, "b": 2}) == of({"b": 2, "a": 1}) != of({"a": 2, "b": 1})
    assert of({"a", "b", "c"}) == of({"c", "a", "b"}) != of({"a", "b"})
    assert len({of(value) for value in (None, "None", b"None", (), [[]], "", 0, {}, "ab", ("a", "b"))}) == 10
    assert of(["a", "b"]) == of(("a", "b"))
    assert of(torch.device("cpu")) == of(torch.device("meta"))


def test_cycles_end() -> None:
    def knot(setting: float) -> list[Any]:
        tied: list[Any] = [setting]
        tied.append(lambda: tied)
        tied.append({"again": tied})
        return tied

    assert of(knot(1.0)) == of(knot(1.0)) != of(knot(2.0))


def two(setting: float) -> tuple[Callable[[], Any], Callable[[], Any]]:
    state: Any = None

    def writes() -> Any:
        nonlocal state
        state = (state, setting)
        return state

    def reads() -> Any:
        nonlocal state
        return state, setting

    return writes, reads


def test_variables_that_functions_share_and_write_do_not_count() -> None:
    fresh, used = two(1.0), two(1.0)
    used[0]()
    for one, other in zip(fresh, used, strict=True):
        assert of(one) != of(other)  # if nobody says that it is written
        running = running_cells([*fresh, *used])
        assert of(one, running=running) == of(other, running=running)
    assert of(fresh[1], running=running_cells(fresh)) != of(two(2.0)[1], running=running_cells(fresh))


def test_functions_differ_by_code_defaults_closure_and_arguments() -> None:
    def make(setting: float) -> list[Any]:
        def plain(x: float, scale: float = setting) -> float:
            return x * scale

        def other(x: float, scale: float = setting) -> float:
            return x + scale

        other.__qualname__ = plain.__qualname__
        return [plain, other, lambda x: x * setting, functools.partial(max, setting), [setting].append, torch.sigmoid]

    one, same, changed = (list(map(of, make(setting))) for setting in (1.0, 1.0, 2.0))
    assert one == same
    assert len(set(one)) == len(one)
    assert [a == b for a, b in zip(one, changed, strict=True)] == [False] * 5 + [True]


def test_the_file_and_the_line_of_a_function_do_not_count() -> None:
    source = "def patch(x):\n    return [y * 2 for y in x if y in {1, 2, 3}]\n"
    found = []
    for text, file in ((source, "one.py"), (f"\n\n{source}", "/somewhere/else.py")):
        names: dict[str, Any] = {"__name__": "pack"}
        exec(compile(text, file, "exec"), names)
        found.append(of(names["patch"]))
    assert found[0] == found[1]


@pytest.mark.parametrize("module", ["/home/somebody/ComfyUI/custom_nodes/pack.nodes", r"D:\AI\custom_nodes\pack.nodes"])
def test_the_folder_of_a_pack_does_not_count(module: str) -> None:
    def make(name: str) -> Any:
        def patch() -> None:
            return None

        patch.__module__ = name
        return patch

    assert of(make(module)) == of(make("pack.nodes")) != of(make("other.nodes"))


def test_modules_differ_by_layers_settings_and_weights() -> None:
    def make(width: int = 4, eps: float = 1e-5, scale: float = 1.0) -> nn.Module:
        torch.manual_seed(0)
        made = nn.Sequential(nn.Linear(4, width), nn.LayerNorm(width, eps=eps), nn.Dropout(0.3))
        with torch.no_grad():
            made[0].weight.mul_(scale)
        return made

    assert of(make()) == of(make())
    assert len({of(make()), of(make(5)), of(make(eps=1e-3)), of(make(scale=2.0))}) == 4
    loaded = make()
    loaded[0].comfy_cast_weights = True  # type: ignore[assignment]
    assert of(loaded) == of(make())


@pytest.mark.parametrize(
    ("value", "named"), [({"a": [iter([1])]}, r"list_iterator in a\.0"), ((x for x in ""), "generator"), (open, None)]
)
def test_what_cannot_be_compared_is_named(value: Any, named: str | None) -> None:
    if named is None:
        assert of(value) == of(value)
    else:
        with pytest.raises(UndigestibleError, match=named):
            of(value)


def test_an_endless_nesting_is_an_error_too() -> None:
    nested: list[Any] = []
    for _ in range(2000):
        nested = [nested]
    with pytest.raises(UndigestibleError, match="too much to compare"):
        of(nested)


def test_a_patch_is_what_it_was_when_first_seen_for_as_long_as_it_lives() -> None:
    kept = FirstSight()
    cache: list[int] = []

    def patch() -> None:
        cache.append(1)

    def seen(patch: Any) -> str:
        return kept.digest(patch, lambda: of(patch))

    first = seen(patch)
    patch()
    assert of(patch) != first
    assert seen(patch) == first
    del patch
    assert kept._kept == {}


def test_differences_name_a_part_once_and_are_few() -> None:
    parts = [("weights", "1"), ("patch", "2"), ("patch", "3")]
    one = ModelFingerprint("m", "a", tuple(parts))
    assert one.differences(one) == []
    assert one.differences(ModelFingerprint("n", "b", tuple(parts[:1]))) == [
        "the identity adapter is different",
        "patch is missing here",
    ]
    assert one.differences(ModelFingerprint("n", "a", (*parts[:2], ("patch", "4")))) == ["patch is different"]
    assert one.differences(ModelFingerprint("n", "a", (*parts, ("new", "5")))) == ["new was not there at the inversion"]
    many = ModelFingerprint("n", "a", tuple((f"patch {i}", "1") for i in range(20)))
    assert len(one.differences(many)) == 7
