"""Statistics of a recogniser's embeddings, from the file beside it."""

from __future__ import annotations

from ..reverse_personalization.method.identity_statistics import (
    STATISTICS_FILE,
    IdentityStatistics,
    even_sphere,
    from_file,
)
from .face_packs import find_pack


def statistics_of(pack: str) -> IdentityStatistics:
    """Statistics of a pack's embeddings; those of an even sphere where nobody has measured them.

    Args:
        pack: as `installed_packs` lists it.

    Raises:
        FileNotFoundError: the pack is not installed.
        ValueError: its statistics cannot be read.
    """
    file = find_pack(pack) / STATISTICS_FILE
    if not file.is_file():
        return even_sphere()
    try:
        return from_file(file.read_bytes())
    except ValueError as error:
        raise ValueError(
            f'the file {STATISTICS_FILE} beside the model pack "{pack}" cannot be used: {error}. Restore it, or delete '
            "it: identities are then drawn from the whole sphere, and pseudonyms become other ones"
        ) from error
