"""The reference of all nodes as Markdown: every socket and every value of their schemas, in the editor's own words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .workflow_generator.forms import Schemas

TITLE = "All nodes and their inputs"

PARTS = ("required", "optional")
"""Parts of a schema's inputs that somebody connects or sets; the host fills in the others."""


def reference(schemas: Schemas) -> str:
    """The page.

    Args:
        schemas: the pack's nodes, as `/object_info` returns them.
    """
    named = sorted(schemas.values(), key=lambda schema: schema["display_name"])
    sections = (_section(schema) for schema in named)
    return "\n\n".join([f"# {TITLE}", "Made from the nodes' schemas by `scripts/website.py`.", *sections]) + "\n"


def _section(schema: Mapping[str, Any]) -> str:
    kind = schema["name"]
    parts = [f"## {schema['display_name']}", f"`{kind}` · [help](js/docs/{kind}.md)", schema["description"]]
    inputs = [
        _input_row(name, takes, options, part)
        for part in PARTS
        for name, (takes, options) in schema["input"].get(part, {}).items()
    ]
    if inputs:
        parts.append(_table(("input", "type", "default", ""), inputs))
    names, tooltips = schema["output_name"], schema["output_tooltips"]
    outputs = [
        (f"`{name}`", _types(gives), tooltip or "")
        for name, gives, tooltip in zip(names, schema["output"], tooltips, strict=True)
    ]
    if outputs:
        parts.append(_table(("output", "type", ""), outputs))
    return "\n\n".join(parts)


def _input_row(name: str, takes: Any, options: Mapping[str, Any], part: str) -> tuple[str, ...]:
    notes = [options.get("tooltip", "")]
    if options.get("advanced"):
        notes.append("*Advanced.*")
    default = options.get("default")
    shown = "" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"
    if default == "":
        shown = "empty"
    if default is None and part == "optional":
        shown = "not connected"
    return f"`{name}`", "<br>".join(_values(takes, options)), shown, " ".join(filter(None, notes))


def _values(takes: Any, options: Mapping[str, Any]) -> Iterator[str]:
    """What an input takes: its type, and its range or choices."""
    choices = options.get("options")
    if takes == "COMBO":
        yield ", ".join(f"`{choice}`" for choice in choices) if choices else "one of the installed files"
        return
    yield _types(takes)
    if "min" in options and "max" in options:
        yield f"{options['min']} to {options['max']}"


def _types(types: str) -> str:
    return ", ".join(types.split(","))


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    def line(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return "\n".join([line(head), line(tuple("---" for _ in head)), *map(line, rows)])
