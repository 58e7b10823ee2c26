"""The parts of docs/benchmarks.md that other programs than `bench/run.py` write, each under a heading of its own."""

from __future__ import annotations

import re
from pathlib import Path

import machine

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
ROWS = "## Rows compared"
CLONES = "## Tables cloned"
TITLES = (ROWS, CLONES)
"""In their order on the page."""
_BEFORE = "## Machine and versions\n"


def section(title: str, page: str) -> str:
    """The part of the page under ``title``; nothing where there is none."""
    found = re.search(rf"^{title}\n.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return found[0] if found else ""


def kept(old: str, new: str) -> str:
    """``new``, with the parts that ``old`` has and it hasn't."""
    parts = [section(title, new) or section(title, old) for title in TITLES]
    for title in TITLES:
        new = new.replace(section(title, new), "") if section(title, new) else new
    head, mark, tail = new.partition(_BEFORE)
    return head + "".join(parts) + mark + tail


def write(part: str) -> None:
    """Puts a part into the page, in place of the one under its heading."""
    old = PAGE.read_text(encoding="utf-8")
    found = section(part.partition("\n")[0], old)
    rest = old.replace(found, "") if found else old
    PAGE.write_text(kept(part, rest), encoding="utf-8")


def where() -> str:
    """What the figures of a part were measured on."""
    here = machine.describe()
    return f"{here.cpu}, {here.cores} cores, {here.memory_gib} GiB of memory, shared; {here.system}"
