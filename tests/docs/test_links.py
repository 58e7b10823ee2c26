"""Links lead somewhere, and the pages name nothing that only exists on somebody's machine."""

import re
from pathlib import Path

import pytest
from tests.docs.pages import IDS, PAGES, ROOT, anchors, links

_PLACES = re.compile(r"file://|(?<![\w.~])/(?:home|root|Users|tmp|mnt|srv|opt)/|\b[A-Z]:\\\\")


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_links_resolve(path: Path) -> None:
    broken = []
    for line, target in links(path):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        if not there.exists() or not there.is_relative_to(ROOT):
            broken.append(f"{path.name}:{line}: {target} isn't there")
        elif anchor and (there.suffix != ".md" or anchor not in anchors(there)):
            broken.append(f"{path.name}:{line}: {target} names no heading")
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_no_machine_is_named(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not _PLACES.findall(text)


def test_every_page_is_reachable() -> None:
    index = ROOT / "docs" / "index.md"
    seen: set[Path] = set()
    stack = [index, ROOT / "README.md"]
    while stack:
        path = stack.pop()
        if path in seen or path.suffix != ".md" or not path.exists():
            continue
        seen.add(path)
        stack += [(path.parent / t.partition("#")[0]).resolve() for _, t in links(path) if ":" not in t and t[0] != "#"]
    lost = [p for p in (ROOT / "docs").rglob("*.md") if p not in seen]
    assert not lost
