"""Selectors: expressions that name some of a project's assets.

    marts.orders            one asset                   +x      x and all that it reads
    marts.*                 a pattern (* and ?)         x+      x and all that reads it
    tag:nightly             what has the tag            2+x+1   two steps up, one step down
    kind:view               what is of the kind         a,b     what is in both
    git:main                what changed since main     ^x      all but x

Several selectors are united; what is excluded is taken away at the end. Nothing is read here: what changed according to
git is asked of whoever calls.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from anabranch.domain.graph import reversed_edges
from anabranch.domain.names import AssetName, nearest
from anabranch.domain.snapshot import Snapshot
from anabranch.errors import SelectionError

METHODS = ("tag", "kind", "git")
_GRAPH = re.compile(r"(?P<up>(?P<ups>\d*)\+)?(?P<what>.*?)(?P<down>\+(?P<downs>\d*))?\Z", re.DOTALL)
_METHOD = re.compile(r"([A-Za-z_]+):")

Changed = Callable[[str], Collection[str]]
"""The paths, relative to the project's folder, that differ from a commit or branch."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a selector can tell assets by. ``path``: of the file that defines it, ``""`` where that is
    ``anabranch.yaml``."""

    reads: Collection[AssetName] = ()
    kind: str = ""
    tags: Collection[str] = ()
    path: str = ""


Candidates = Mapping[AssetName, Candidate]


@dataclass(frozen=True, slots=True)
class Selection:
    """What the user typed. Without anything to select, all is selected; then what is excluded is taken away."""

    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.select or self.exclude)

    def of(self, candidates: Candidates, changed: Changed) -> set[AssetName]:
        """The assets that it means, of ``candidates``.

        Raises:
            SelectionError: an expression can't be read, or names what isn't there.
        """
        chooser = _Chooser(candidates, changed)
        found = chooser.all_of(self.select) if self.select else set(candidates)
        return found - chooser.all_of(self.exclude)

    def __str__(self) -> str:
        """As it is typed in a shell."""
        said = [*(("--select", s) for s in self.select), *(("--exclude", s) for s in self.exclude)]
        return " ".join(f"{option} {shlex.quote(value)}" for option, value in said)


@dataclass(frozen=True, slots=True)
class _Term:
    """One part of an expression, between commas. ``up`` and ``down``: how many steps, None for none, -1 for all."""

    text: str
    start: int
    negated: bool
    up: int | None
    down: int | None


@dataclass(frozen=True, slots=True)
class _Chooser:
    candidates: Candidates
    changed: Changed
    _since: dict[str, Collection[str]] = field(default_factory=dict)

    def all_of(self, expressions: Iterable[str]) -> set[AssetName]:
        found: set[AssetName] = set()
        for expression in expressions:
            found |= self._expression(expression)
        return found

    def _expression(self, expression: str) -> set[AssetName]:
        found: set[AssetName] | None = None
        for term in _terms(expression):
            here = self._term(expression, term)
            found = here if found is None else found & here
        return found if found is not None else set()

    def _term(self, expression: str, term: _Term) -> set[AssetName]:
        starts = self._matching(expression, term)
        found = set(starts)
        if term.up is not None:
            found |= _within({a: c.reads for a, c in self.candidates.items()}, starts, term.up)
        if term.down is not None:
            reads = {a: c.reads for a, c in self.candidates.items()}
            found |= _within(reversed_edges(reads), starts, term.down)
        found &= set(self.candidates)
        return set(self.candidates) - found if term.negated else found

    def _matching(self, expression: str, term: _Term) -> set[AssetName]:
        method, value = _method(term.text)
        if method == "git":
            if value not in self._since:
                self._since[value] = frozenset(self.changed(value))
            paths = self._since[value]
            return {a for a, c in self.candidates.items() if (c.path or "anabranch.yaml") in paths}
        if method == "tag":
            tags = {t for c in self.candidates.values() for t in c.tags}
            fits = self._known(expression, term, value, tags, "no asset has the tag")
            return {a for a, c in self.candidates.items() if fits & set(c.tags)}
        if method == "kind":
            kinds = {c.kind for c in self.candidates.values()}
            fits = self._known(expression, term, value.lower(), kinds, "no asset is of the kind")
            return {a for a, c in self.candidates.items() if c.kind in fits}
        names = {str(a) for a in self.candidates}
        fits = self._known(expression, term, term.text.lower(), names, "no asset is called")
        return {AssetName(name) for name in fits}

    def _known(self, expression: str, term: _Term, wanted: str, known: Collection[str], nothing: str) -> set[str]:
        """Those of ``known`` that ``wanted`` means; never none."""
        pattern = re.compile("".join(_GLOB.get(c, re.escape(c)) for c in wanted), re.DOTALL)
        fits = {k for k in known if pattern.fullmatch(k)}
        if not fits:
            raise _mistake(expression, term, f"{nothing} {wanted}", self._meant(term, wanted, known))
        return fits

    def _meant(self, term: _Term, wanted: str, known: Collection[str]) -> str:
        method = _METHOD.match(term.text)
        if method and method[1].lower() not in METHODS:
            near = nearest(method[1].lower(), list(METHODS))
            if near:
                return f"did you mean {near}:{term.text[method.end() :]}?"
        if "." not in wanted:
            same = sorted(k for k in known if k.rpartition(".")[2] == wanted)
            if same:
                return f"did you mean {' or '.join(same[:3])}?"
        near = nearest(wanted, sorted(known))
        return f"did you mean {near}?" if near else "anabranch env show lists what an environment has"


_GLOB = {"*": ".*", "?": "."}


def _method(text: str) -> tuple[str, str]:
    """A method and its value; ``""`` and the text where it is a name."""
    found = _METHOD.match(text)
    if found and found[1].lower() in METHODS:
        return found[1].lower(), text[found.end() :]
    return "", text


def _terms(expression: str) -> list[_Term]:
    """The parts between commas. Raises ``SelectionError``."""
    found: list[_Term] = []
    at = 0
    for raw in expression.split(","):
        text = raw.strip()
        start = at + len(raw) - len(raw.lstrip())
        at += len(raw) + 1
        negated = text.startswith("^")
        graph = _GRAPH.match(text[negated:])
        assert graph is not None  # every part of the pattern may be empty
        what = graph["what"]
        up = _steps(graph["ups"]) if graph["up"] else None
        down = _steps(graph["downs"]) if graph["down"] else None
        term = _Term(what, start + negated + graph.start("what"), negated, up, down)
        if not what or not _method(what)[1]:
            whole = _Term(text or " ", min(start, max(len(expression) - 1, 0)), negated, up, down)
            raise _mistake(expression, whole, "something is missing here", "write a name: marts.orders, marts.*, tag:x")
        found.append(term)
    return found


def _steps(digits: str) -> int:
    return int(digits) if digits else -1


def _within(
    edges: Mapping[AssetName, Collection[AssetName]], starts: Collection[AssetName], steps: int
) -> set[AssetName]:
    """What is reached from ``starts`` in at most so many steps; -1 for any number."""
    seen = set(starts)
    level = set(starts)
    while level and steps:
        level = {n for name in level for n in edges.get(name, ())} - seen
        seen |= level
        steps -= 1
    return seen


def _mistake(expression: str, term: _Term, message: str, hint: str) -> SelectionError:
    """With the place in the expression."""
    shown = expression.replace("\n", " ") or " "
    marks = " " * term.start + "~" * max(1, len(term.text))
    return SelectionError(f"{message}\n{shown}\n{marks}", hint=hint)


def candidates_of(snapshots: Mapping[AssetName, Snapshot]) -> dict[AssetName, Candidate]:
    """What selectors can tell of snapshots."""
    return {
        asset: Candidate(
            tuple(s.upstreams),
            s.kind.value,
            tuple(t for t in s.properties.get("tags", "").split(",") if t),
            s.definition.path,
        )
        for asset, s in snapshots.items()
    }


def completions(incomplete: str, candidates: Candidates) -> list[str]:
    """What ``incomplete`` may be going to be: names, tags and kinds, behind whatever stands before them."""
    before, comma, last = incomplete.rpartition(",")
    found = re.match(r"\^?(?:\d*\+)?", last)
    head = f"{before}{comma}{found[0]}" if found else f"{before}{comma}"
    text = last[found.end() :] if found else last
    tags = {f"tag:{t}" for c in candidates.values() for t in c.tags}
    kinds = {f"kind:{c.kind}" for c in candidates.values()}
    known: Sequence[str] = [*sorted(candidates), *sorted(tags), *sorted(kinds), "git:"]
    return [head + k for k in known if k.startswith(text)]
