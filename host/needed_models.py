"""Which of the model files that a graph names are there: for the panel that lists them, at once and without hashing.

Names are those of files below the host's model folders; nothing here tells where these folders are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import folder_paths
from aiohttp import web

from .checker import checker_names
from .face_packs import find_pack, installed_packs
from .file_routes import PRIVATE, refused
from .known_models import INSIGHTFACE_PACKS, KNOWN
from .model_folders import INSIGHTFACE_FOLDER
from .model_hashes import files_named

MODELS_ROUTE = "/reverse_personalization/models"

MOST_NAMES = 300
"""That a question may hold; workflows have a dozen."""


async def tell_models(request: web.Request) -> web.Response:
    """Answer `needed_models`; the query has `file` for each model file and `pack` for each recogniser."""
    query = request.query
    if len(query) > MOST_NAMES or set(query) - {"file", "pack"}:
        return refused(400, f"expected at most {MOST_NAMES} of file and pack")
    return web.json_response(needed_models(query.getall("file", ()), query.getall("pack", ())), headers=PRIVATE)


def needed_models(files: Iterable[str], packs: Iterable[str]) -> list[dict[str, Any]]:
    """What there is to say of model files, without reading them.

    Args:
        files: names, as loaders offer them.
        packs: names of recognisers, as Embed Faces and the checks offer them.

    Returns:
        For each name, once: "name"; "place", the folder below the host's that it is in or belongs into, "" if unknown;
        "folders", how many folders were searched there; "there"; "bytes" of a file that is there; "expected", the
        fields of `KnownModel`, or None; "other", whether what is there cannot be what is expected, by its size.
    """
    rows = [_file(name) for name in dict.fromkeys(files)] + [_pack(name) for name in dict.fromkeys(packs)]
    return sorted(rows, key=lambda row: (row["there"], row["place"], row["name"]))


def _file(name: str) -> dict[str, Any]:
    found = list(files_named([name]).items())
    known = KNOWN.get(Path(name).name)
    kind = found[0][0].partition("/")[0] if found else known.folder if known else ""
    size = Path(found[0][1]).stat().st_size if found else None
    return _row(name, kind, kind, bool(found), size)


def _pack(name: str) -> dict[str, Any]:
    # Only names that the nodes offer: no other name leads out of the folders.
    there = name in checker_names()
    if there and name in installed_packs():
        try:
            find_pack(name)
        except FileNotFoundError:
            there = False
    return _row(name, INSIGHTFACE_PACKS, INSIGHTFACE_FOLDER, there, None)


def _row(name: str, place: str, kind: str, there: bool, size: int | None) -> dict[str, Any]:
    known = KNOWN.get(Path(name).name)
    return {
        "name": name,
        "place": place,
        "folders": len(folder_paths.get_folder_paths(kind)) if kind else 0,
        "there": there,
        "bytes": size,
        "expected": None if known is None else asdict(known),
        "other": known is not None and None not in (size, known.bytes) and size != known.bytes,
    }
