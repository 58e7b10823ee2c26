"""Text that remembers which part of the user's file each of its characters came from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple


class Piece(NamedTuple):
    """Some text, and the place in the file that it stands for: ``exact`` where it is that place's own text, character
    by character."""

    text: str
    start: int
    end: int
    exact: bool = False


class Mapped:
    """A text made of pieces. Immutable."""

    __slots__ = ("_begins", "pieces", "text")

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.pieces = [p for p in pieces if p.text]
        self.text = "".join(p.text for p in self.pieces)
        self._begins: list[int] = []
        at = 0
        for piece in self.pieces:
            self._begins.append(at)
            at += len(piece.text)

    @staticmethod
    def whole(text: str) -> Mapped:
        """A file's own text."""
        return Mapped([Piece(text, 0, len(text), True)])

    @staticmethod
    def at(text: str, place: tuple[int, int]) -> Mapped:
        """Text that was made for what stands at ``place`` in the file."""
        return Mapped([Piece(text, *place)])

    def slice(self, start: int, end: int) -> Mapped:
        """``text[start:end]``, with where it came from."""
        found: list[Piece] = []
        i = max(0, bisect_right(self._begins, start) - 1)
        while i < len(self.pieces) and self._begins[i] < end:
            piece, begin = self.pieces[i], self._begins[i]
            first, last = max(start - begin, 0), min(end - begin, len(piece.text))
            if first < last:
                if piece.exact:
                    found.append(Piece(piece.text[first:last], piece.start + first, piece.start + last, True))
                else:
                    found.append(Piece(piece.text[first:last], piece.start, piece.end))
            i += 1
        return Mapped(found)

    def place(self, start: int, end: int | None = None) -> tuple[int, int]:
        """Where in the file ``text[start:end]`` came from: an offset, and one just behind it."""
        if not self.pieces:
            return 0, 0
        first = self._one(min(start, len(self.text)))
        last = self._one(max(start, (start + 1 if end is None else end) - 1))
        begin, until = first[0], last[1]
        return begin, until if until > begin else first[1]

    def _one(self, at: int) -> tuple[int, int]:
        i = max(0, bisect_right(self._begins, at) - 1)
        piece, within = self.pieces[i], at - self._begins[i]
        if not piece.exact:
            return piece.start, piece.end
        within = min(within, len(piece.text))
        return piece.start + within, piece.start + within + 1

    def strip(self) -> Mapped:
        """Without white space around it."""
        text = self.text
        start = len(text) - len(text.lstrip())
        return self.slice(start, max(start, len(text.rstrip())))

    def through(self, outer: Mapped) -> Mapped:
        """The same text, where the places of this one are offsets in ``outer``'s text."""
        found: list[Piece] = []
        for piece in self.pieces:
            if piece.exact:
                found += outer.slice(piece.start, piece.end).pieces
            else:
                found.append(Piece(piece.text, *outer.place(piece.start, piece.end)))
        return Mapped(found)


def join(parts: Iterable[Mapped], between: str = "") -> Mapped:
    """One text of several; ``between`` two of them comes from where the first ends."""
    found: list[Piece] = []
    for part in parts:
        if found and between:
            last = found[-1]
            found.append(Piece(between, last.end - 1 if last.exact else last.start, last.end))
        found += part.pieces
    return Mapped(found)
