"""Whether what a crash left is right, and where the next command leads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.crash.left import beside, cells, physical, reachable, refs, seen, stem
from tests.crash.scenarios import Scenario, collect
from tests.support.plain import IS_PLAIN

Expected = dict[str, dict[str, Any]]
"""What readers see, and the refs' trees, before the command and after."""


class Wrong(AssertionError):
    """What is left isn't right."""


def must(condition: bool, message: str) -> None:
    if not condition:
        raise Wrong(message)


def difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    keys = sorted(k for k in one.keys() | other.keys() if one.get(k) != other.get(k))
    return ", ".join(f"{k}: {one.get(k)} and not {other.get(k)}" for k in keys)[:1500]


def check_crash(scenario: Scenario, folder: Path, expected: Expected) -> bool:
    """Looks at what a crash left; whether the command was done but for cleaning up."""
    shown, now = seen(folder), refs(folder)
    old, new, old_refs, new_refs = expected["old"], expected["new"], expected["old_refs"], expected["new_refs"]
    for name in old.keys() | new.keys() | shown.keys():
        before, after, piece = old.get(name), new.get(name), shown.get(name)
        if scenario.each or IS_PLAIN:  # without transactions, views move one by one
            odd = {k: v for k, v in (piece or {}).items() if v not in ((before or {}).get(k), (after or {}).get(k))}
            if IS_PLAIN and scenario.through:
                sides = {k: [s[k] for s in (before or {}, after or {}) if k in s] for k in odd}
                odd = {
                    k: v
                    for k, v in odd.items()
                    if any(part not in parts for part, parts in zip(v, zip(*sides[k], strict=True), strict=True))
                }
            if IS_PLAIN and scenario.gap:
                odd = {k: v for k, v in odd.items() if v[1] != [["CatalogException"]]}
            must(not odd, f"readers of {name} see {odd}")
        elif piece not in (before, after):
            parts = difference(piece or {}, before or {}), difference(piece or {}, after or {})
            raise Wrong(f"readers of {name} see neither the old ({parts[0]}) nor the new ({parts[1]})")
        must(now.get(name) in (old_refs.get(name), new_refs.get(name)), f"the ref of {name} is neither old nor new")
        if before != after and piece == after:
            must(now.get(name) == new_refs.get(name), f"readers of {name} see the new, and the ref is old")
    is_open = any(k.startswith("open/") for k in cells(folder))
    return now == new_refs and (new_refs != old_refs or (shown == new and not is_open))


def check_end(folder: Path, new: dict[str, Any], new_refs: dict) -> None:
    """All is as the run that nobody stopped has left it."""
    shown = seen(folder)
    must(shown == new, f"readers see something else: {difference(shown, new)}")
    must(refs(folder) == new_refs, "the refs are others")
    left = [k for k in cells(folder) if k.startswith(("open/", "line/"))]
    must(not left, f"a journal is open: {left}")
    held = {k: json.loads(v) for k, v in cells(folder).items() if k.startswith("physical/")}
    # nobody's is the trace that a build may have begun there: whoever builds there next looks, else it is collected
    claims = [k for k, (_, stage, holder, *_) in held.items() if stage == "building" and holder]
    must(not claims, f"claims are left: {claims}")


def check_collected(folder: Path) -> None:
    """Exactly what is reached is left."""
    wanted = reachable(folder)
    must(physical(folder) == wanted, f"left are {physical(folder)}, reached are {wanted}")
    lost = [t for t in beside(folder) if not any(t.startswith(f"{stem(w)}__") for w in wanted)]
    must(not lost, f"tables of nobody are left: {lost}")
    built = sorted(k.removeprefix("physical/") for k in cells(folder) if k.startswith("physical/"))
    must(built == wanted, f"known are {built}, reached are {wanted}")
    stages = {json.loads(v)[1] for k, v in cells(folder).items() if k.startswith("physical/")}
    must(stages <= {"built"}, f"stages are {stages}")


def verify(scenario: Scenario, folder: Path, expected: Expected) -> None:
    done = check_crash(scenario, folder, expected)
    code = (scenario.again if done else scenario.command)(folder)
    same_trees = expected["new_refs"] == expected["old_refs"]  # then published or not can't be told by the refs
    wanted = {0, scenario.done} if done or same_trees else {0}
    must(code in wanted, f"the next command answered {code}")
    check_end(folder, expected["new"], expected["new_refs"])
    must(collect(folder) == 0, "gc failed")
    must(seen(folder) == expected["new"], "gc changed what readers see")
    check_collected(folder)
