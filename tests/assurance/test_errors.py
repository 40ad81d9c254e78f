"""The pack's own errors as the host names them to its client: the same wherever the pack is installed."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from harness.in_process import PACK, ROOT, part

FOLDERS = ("host", "nodes", "reverse_personalization")


def defined_errors(pack: ModuleType) -> Iterator[type[BaseException]]:
    """Every class of errors that a module of the pack defines."""
    for folder in FOLDERS:
        prefix = f"{pack.__name__}.{folder}."
        for found in pkgutil.walk_packages([str(ROOT / folder)], prefix):
            module = importlib.import_module(found.name)
            source = inspect.getsource(module)
            for name, thing in vars(module).items():
                if isinstance(thing, type) and issubclass(thing, BaseException) and f"class {name}(" in source:
                    yield thing


def test_the_host_names_them_without_the_packs_place(pack):
    import execution

    errors = set(defined_errors(pack))
    assert part("reverse_personalization.method.adapter_file").AdapterFileError in errors
    for error in errors:
        named = execution.full_type_name(error)
        assert named == f"reverse_personalization.{error.__qualname__}"
        assert PACK not in named


def test_the_name_is_the_same_from_any_folder(tmp_path, monkeypatch):
    """As the host loads a pack: under its path on the server."""
    import execution

    name = str(tmp_path / "custom_nodes" / "somebody's pack").replace(".", "_x_")
    place = ROOT / "reverse_personalization"
    spec = importlib.util.spec_from_file_location(name, place / "__init__.py", submodule_search_locations=[str(place)])
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    loaded = importlib.import_module(f"{name}.method.adapter_file")
    for part_name in [one for one in sys.modules if one.startswith(f"{name}.")]:
        monkeypatch.delitem(sys.modules, part_name)
    with pytest.raises(ValueError, match="expected an IP-Adapter FaceID file") as caught:
        loaded.read_face_id({}, None, "x.bin")
    assert execution.full_type_name(caught.type) == "reverse_personalization.AdapterFileError"
