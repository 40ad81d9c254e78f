"""Finds thousands of names in a text at once, in time that grows with the text and not with the number of names."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

SHORTEST_ANYWHERE = 4
"""Characters from which a name is also found inside words; a shorter one is found only where it stands alone."""

_START = 8
"""Leading characters by which names are looked up: most names have that many, and few names share them."""

_EXCEPTIONS = {"\u0130": "i", "\u0131": "i", "\ufb06": "\ufb05"}
"""Dotted I, dotless i and a ligature: Python's regular expressions ignore their case, but `str.casefold` does not fold
them to one character."""


class NameSearch:
    """Finds names in any mixture of upper and lower case; of several at one place, the longest.

    Args:
        names: the names to find; empty ones are ignored.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._starts: dict[int, dict[str, set[str]]] = {}
        for name in map(fold, names):
            if name:
                width = min(len(name), _START)
                self._starts.setdefault(width, {}).setdefault(name[:width], set()).add(name)
        self._widths = sorted(self._starts, reverse=True)
        self._lengths: dict[str, list[int]] = {}

    def found_in(self, text: str) -> bool:
        """Whether a text contains any of the names."""
        return next(self.spans(text), None) is not None

    def replace(self, text: str, by: str) -> str:
        """The text with every name replaced by `by`."""
        pieces, end = [], 0
        for start, stop in self.spans(text):
            pieces += [text[end:start], by]
            end = stop
        return "".join([*pieces, text[end:]])

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Start and end of each name in a text, from left to right, without overlaps."""
        if not self._widths:
            return
        folded = fold(text)
        place = 0
        while place < len(folded):
            stop = self._longest(folded, place)
            if stop:
                yield place, stop
            place = stop or place + 1

    def _longest(self, folded: str, place: int) -> int:
        """End of the longest name that begins at a place; 0 if none begins there."""
        for width in self._widths:
            start = folded[place : place + width]
            names = self._starts[width].get(start)
            if names is None:
                continue
            if start not in self._lengths:
                self._lengths[start] = sorted({len(name) for name in names}, reverse=True)
            for length in self._lengths[start]:
                stop = place + length
                if folded[place:stop] in names and (length >= SHORTEST_ANYWHERE or _alone(folded, place, stop)):
                    return stop
        return 0


def fold(text: str) -> str:
    """Remove the difference between upper and lower case, character by character, so that the length stays the same."""
    return text.lower() if text.isascii() else "".join(map(_fold_character, text))


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    character = _EXCEPTIONS.get(character, character)
    for spelling in (unicodedata.normalize("NFC", character.casefold()), character.casefold(), character.lower()):
        if len(spelling) == 1:
            return spelling
    return character


def _alone(folded: str, start: int, stop: int) -> bool:
    """Whether a part of a folded text has no English letter or digit next to it."""
    return not any(
        one.isascii() and one.isalnum() for one in (folded[max(start - 1, 0) : start], folded[stop : stop + 1])
    )
