"""The documents, and what is in them: links, headings, tables, fenced blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    p
    for p in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md"))
    if ".anabranch" not in p.parts
)
IDS = [p.relative_to(ROOT).as_posix() for p in PAGES]

_FENCE = re.compile(r"(\s*)(`{3,}|~{3,})\s*(\S*)")
_LINK = re.compile(r"(?<!\!)\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_CODE = re.compile(r"(`+).*?\1")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. ``line``: of its first line, from 1. ``before``: the nearest line above its fence that isn't
    empty."""

    language: str
    line: int
    text: str
    before: str


def page(name: str) -> Path:
    """By its path in the repository."""
    return ROOT / name


def blocks(path: Path, language: str = "") -> list[Block]:
    """Its fenced blocks, all or those of one language."""
    found: list[Block] = []
    lines = path.read_text(encoding="utf-8").splitlines()
    number, before = 0, ""
    while number < len(lines):
        match = _FENCE.match(lines[number])
        if match is None:
            before = lines[number].strip() or before
            number += 1
            continue
        indent, fence, kind = match.groups()
        end = next((i for i in range(number + 1, len(lines)) if lines[i].strip() == fence), len(lines))
        text = "\n".join(line.removeprefix(indent) for line in lines[number + 1 : end])
        found.append(Block(kind, number + 2, text, before))
        number, before = end + 1, ""
    return [b for b in found if not language or b.language == language]


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Its numbered lines outside fenced blocks."""
    fence = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = _FENCE.match(line)
        if fence:
            fence = "" if line.strip() == fence else fence
        elif match:
            fence = match.group(2)
        else:
            yield number, line


def links(path: Path) -> list[tuple[int, str]]:
    """Where its links lead."""
    return [(number, m.group(1)) for number, line in prose(path) for m in _LINK.finditer(_CODE.sub("x", line))]


def anchors(path: Path) -> set[str]:
    """What its headings can be linked by, as GitHub names them."""
    found: set[str] = set()
    for _, line in prose(path):
        match = re.match(r"#{1,6}\s+(.*)", line)
        if match is None:
            continue
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match.group(1)).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        number, unique = 0, slug
        while unique in found:
            number += 1
            unique = f"{slug}-{number}"
        found.add(unique)
    return found


def sections(path: Path) -> dict[str, list[str]]:
    """Its lines outside fenced blocks, by the nearest heading above."""
    found: dict[str, list[str]] = {"": []}
    heading = ""
    for _, line in prose(path):
        match = re.match(r"#{1,6}\s+(.*)", line)
        if match:
            heading = match.group(1).strip()
            found.setdefault(heading, [])
        else:
            found[heading].append(line)
    return found


def rows(lines: list[str]) -> list[list[str]]:
    """The cells of the tables among ``lines``, without heads and rulers."""
    found: list[list[str]] = []
    head = True
    for line in lines:
        if not line.startswith("|"):
            head = True
            continue
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if head or re.fullmatch(r"[|:\- ]+", line):
            head = False
            continue
        found.append(cells)
    return found


def codes(cell: str) -> list[str]:
    """What stands in back-ticks."""
    return re.findall(r"`([^`]+)`", cell)
