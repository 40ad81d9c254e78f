"""Fixtures shared by all tests."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.in_host import load_pack


@pytest.fixture(scope="session")
def pack() -> ModuleType:
    """The pack, loaded into an in-process ComfyUI on the CPU."""
    return load_pack()
