"""Writes docs/engines.md from what the conformance suite saw.

    ANABRANCH_ENGINE_RESULTS=.cache/engines .venv/bin/python -m pytest tests/engines
    .venv/bin/python scripts/docs_engines.py .cache/engines            # writes the page
    .venv/bin/python scripts/docs_engines.py .cache/engines --check    # or says how it differs

An engine's row says what the adapter claims only where the suite's tests of it passed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import unified_diff
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "engines.md"
PROOFS: Mapping[str, tuple[str, Sequence[str]]] = {
    "transactional-ddl": (
        "Transactions over DDL",
        ["test_what_is_rolled_back_never_was", "test_an_error_in_a_transaction_takes_all_of_it_back"],
    ),
    "concurrent-statements": ("Several statements at once", ["test_builds_from_many_threads"]),
    "clone-table": (
        "Zero-copy clone of a table",
        ["test_a_clone_has_its_own_history", "test_a_clone_takes_nobodys_place_unless_it_is_told_to"],
    ),
    "clone-schema": ("of a schema", ["test_a_schema_is_cloned_whole"]),
    "clone-database": ("of a database", ["test_a_schema_is_cloned_whole"]),
    "time-travel": ("Clone of the past", ["test_a_clone_of_what_was"]),
    "swap-tables": ("Two tables swapped in one step", ["test_two_tables_are_swapped"]),
    "swap-schemas": ("two schemas", ["test_two_tables_are_swapped"]),
    "materialized-views": ("Materialized views", ["test_a_materialized_view_keeps_rows"]),
    "merge": ("Merge by key in one statement", ["test_rows_are_merged_by_key"]),
    "grants": ("Grants kept", ["test_grants"]),
    "exact-hash": ("Hash that tells all values apart", ["test_different_content_has_different_hashes"]),
}
"""Of each capability: what it is called, and the tests of it (by the beginnings of their names)."""
SIGNS = {"run for real": "●", "run on an emulator": "◐", "SQL checked only": "○", "not run": "·"}
HEAD = """# Engines

What each engine can do, as the [conformance suite](../src/anabranch/testing/engine_suite.py) saw it. This page is made by
`scripts/docs_engines.py` from a run of the suite; CI compares it with its own run.

● run for real · ◐ run on an emulator · ○ SQL checked only, against texts of statements · – the engine can't

"""


@dataclass
class Engine:
    """What was seen of one."""

    properties: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    passed: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)

    @property
    def title(self) -> str:
        return str(self.properties.get("title", ""))


def read(folder: Path) -> dict[str, Engine]:
    """By suite."""
    found: dict[str, Engine] = {}
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            said = json.loads(line)
            engine = found.setdefault(said["suite"], Engine())
            engine.properties.update(said["properties"])
            engine.seen.update(said["seen"])
            getattr(engine, said["outcome"]).add(said["test"])
    return found


def cell(engine: Engine, capability: str, proofs: Sequence[str]) -> str:
    support = engine.properties["capabilities"][capability]
    if support in ("never", "not-yet"):
        return "–" if support == "never" else "not yet"
    how = engine.seen.get(capability, "run for real")
    told = SIGNS[how] + (" partly" if support == "partly" else "")
    if how in ("SQL checked only", "not run"):
        return told
    proved = [t for proof in proofs for t in engine.passed if t.startswith(proof)]
    return told if proved and not any(t.startswith(tuple(proofs)) for t in engine.failed) else "claimed, not seen"


def page(engines: Sequence[Engine]) -> str:
    rows = [["", *(e.title for e in engines)], ["---"] * (len(engines) + 1)]
    rows += [[name, *(cell(e, c, proofs) for e in engines)] for c, (name, proofs) in PROOFS.items()]
    rows.append(["Longest name, in bytes", *(f"{e.properties['longest name']:,}" for e in engines)])
    rows.append(["Case of names", *(str(e.properties["case"]) for e in engines)])
    rows.append(["Tests of the suite that passed", *(str(len(e.passed)) for e in engines)])
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows) + FOOT


FOOT = """
A test that isn't passed was skipped for a reason that `pytest -rs` prints: the suite leaves out what an engine doesn't
claim, and what an emulator can't be believed on.
"""


def main(folder: str, *options: str) -> int:
    engines = sorted((e for e in read(Path(folder)).values() if e.title), key=lambda e: e.title.lower())
    titles = {e.title: e for e in engines}
    made = page(list(titles.values()))
    if any(e.failed for e in engines):
        print("some tests failed:", *(f"{e.title}: {sorted(e.failed)}" for e in engines if e.failed), sep="\n")
        return 1
    if "--check" not in options:
        PAGE.write_text(made)
        return 0
    told, seen = columns(PAGE.read_text()), columns(made)
    for title in sorted(told.keys() - seen.keys()):
        print(f"{title} was not run here: its column is left as it is")
    wrong = [title for title in seen if title and seen[title] != told.get(title)]
    for title in wrong:
        print(
            *unified_diff(told.get(title, []), seen[title], f"docs/engines.md: {title}", "seen", lineterm=""), sep="\n"
        )
    return 1 if wrong else 0


def columns(text: str) -> dict[str, list[str]]:
    """Of a page, the table's columns by their heads."""
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    names = [row[0] for row in rows]
    return {
        head: [f"{name}: {row[at]}" for name, row in zip(names[2:], rows[2:], strict=True)]
        for at, head in enumerate(rows[0])
    }


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
