"""Finding thousands of names in a text at once, in a time that grows with the text and not with the number of names."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

SHORTEST_ANYWHERE = 4
"""Characters of a name that is found inside words too; a shorter one is found only where it stands alone."""

_START = 8
"""Characters by which names are looked up: few enough that most names have them, enough to tell most names apart."""

_EXCEPTIONS = {"\u0130": "i", "\u0131": "i", "\ufb06": "\ufb05"}
"""Dotted I, dotless i and a ligature: what Python's regular expressions ignore the case of, and `str.casefold` does not
spell with one character."""


class NameSearch:
    """Finds names whatever the case of their letters, at each place the longest.

    Args:
        names: what to look for; an empty name is ignored.
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
        """Whether a text holds one of the names."""
        return next(self.spans(text), None) is not None

    def replace(self, text: str, by: str) -> str:
        """The text with `by` in place of every name."""
        pieces, end = [], 0
        for start, stop in self.spans(text):
            pieces += [text[end:start], by]
            end = stop
        return "".join([*pieces, text[end:]])

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where names begin and end in a text, from left to right, none overlapping another."""
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
        """Where the longest name that begins at a place ends; 0 if none begins there."""
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
    """A text without the difference of upper and lower case, character by character: its length stays."""
    return text.lower() if text.isascii() else "".join(map(_fold_character, text))


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    character = _EXCEPTIONS.get(character, character)
    for spelling in (unicodedata.normalize("NFC", character.casefold()), character.casefold(), character.lower()):
        if len(spelling) == 1:
            return spelling
    return character


def _alone(folded: str, start: int, stop: int) -> bool:
    """Whether neither an English letter nor a digit touches a part of a folded text."""
    return not any(
        one.isascii() and one.isalnum() for one in (folded[max(start - 1, 0) : start], folded[stop : stop + 1])
    )
