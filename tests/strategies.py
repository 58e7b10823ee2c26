"""What Hypothesis draws: names, ids, trees' contents, coherent projects, histories."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from tests.support.project import Model

from anabranch.domain.commit import Action, Commit
from anabranch.domain.ids import CommitId, SnapshotId, TreeId, digest
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.snapshot import Kind
from anabranch.domain.tree import Entries, Trees

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
ENVIRONMENTS = [EnvironmentName(name) for name in ("prod", "feature", "other")]


def snapshot_id(text: str) -> SnapshotId:
    """Some snapshot's, different for each text."""
    return SnapshotId(digest(text.encode()))


def asset(number: int) -> AssetName:
    return AssetName(f"s{number % 7}.t{number}")


assets = st.integers(0, 200).map(asset)
snapshot_ids = st.integers(0, 9).map(lambda n: snapshot_id(str(n)))
few: st.SearchStrategy[Entries] = st.dictionaries(assets, snapshot_ids, max_size=40)


@st.composite
def many(draw: st.DrawFn) -> Entries:
    """As many as fit in one leaf, about that, and far more; Hypothesis alone draws but few."""
    count, step = draw(st.sampled_from([20, 31, 32, 33, 34, 60, 300])), draw(st.integers(1, 3))
    return {**{asset(n * step): snapshot_id(str(n % 10)) for n in range(count)}, **draw(few)}


entries: st.SearchStrategy[Entries] = few | many()


@st.composite
def similar_entries(draw: st.DrawFn) -> tuple[Entries, Entries]:
    """Two trees' contents that mostly agree, as those of two environments do."""
    before = draw(entries)
    after = dict(before)
    for name in draw(st.lists(st.sampled_from(sorted(before)), max_size=5)) if before else []:
        after.pop(name, None)
    after.update(draw(st.dictionaries(assets, snapshot_ids, max_size=5)))
    return before, after


class Nodes:
    """A place for trees' nodes that counts what is read from it."""

    def __init__(self) -> None:
        self.kept: dict[TreeId, bytes] = {}
        self.read: list[TreeId] = []
        self.trips = 0

    def __call__(self, ids: Collection[TreeId]) -> Mapping[TreeId, bytes]:
        self.trips += 1
        self.read += ids
        return {i: self.kept[i] for i in ids if i in self.kept}

    def keep(self, trees: Trees) -> int:
        """Stores what ``trees`` made; says how many nodes that were."""
        made = len(trees.fresh)
        self.kept.update(trees.fresh)
        trees.fresh.clear()
        return made

    def fresh(self) -> Trees:
        """As another process sees it: nothing read yet."""
        self.read.clear()
        self.trips = 0
        return Trees(self)


# ------------------------------------------------------------------------------------------------------------ projects


@st.composite
def projects(draw: st.DrawFn, most: int = 8) -> dict[str, Model]:
    """Models over each other, no cycles; ``s.m0`` is a source."""
    models = {"raw.m0": Model(kind=Kind.EXTERNAL)}
    for number in range(1, draw(st.integers(1, most))):
        reads = draw(st.sets(st.sampled_from(sorted(models)), max_size=3))
        kind = draw(st.sampled_from([Kind.FULL, Kind.FULL, Kind.VIEW, Kind.EMBEDDED]))
        models[f"s.m{number}"] = Model(logic=draw(st.sampled_from("ab")), reads=tuple(sorted(reads)), kind=kind)
    return models


@st.composite
def edits(draw: st.DrawFn, models: Mapping[str, Model]) -> dict[str, Model]:
    """The same project, changed here and there: other code, other words, added, removed."""
    changed = dict(models)
    own = [name for name in sorted(models) if models[name].kind is not Kind.EXTERNAL]
    for name in draw(st.lists(st.sampled_from(own), max_size=2, unique=True)) if own else []:
        model = changed[name]
        match draw(st.sampled_from(["logic", "wording", "description", "remove"])):
            case "logic":
                changed[name] = model.but(logic=draw(st.sampled_from("abcd")))
            case "wording":
                changed[name] = model.but(wording=draw(st.sampled_from("xy")))
            case "description":
                changed[name] = model.but(description=draw(st.sampled_from("pq")))
            case _ if not any(name in other.reads for other in changed.values()):
                del changed[name]
    new = [name for name in ("s.n1", "s.n2") if name not in changed]
    if draw(st.booleans()) and new:
        reads = draw(st.sets(st.sampled_from(sorted(changed)), max_size=2))
        changed[draw(st.sampled_from(new))] = Model(reads=tuple(sorted(reads)))
    return changed


# ------------------------------------------------------------------------------------------------------------- history


def commit(
    number: int,
    parents: Collection[CommitId] = (),
    *,
    height: int = 0,
    environment: str = "prod",
    action: Action = Action.APPLY,
    tree: TreeId | None = None,
    at: datetime | None = None,
    restores: CommitId | None = None,
) -> Commit:
    """A commit that differs by ``number``."""
    made = tree or TreeId(digest(b"%d" % number))
    when = at or BEGIN + timedelta(hours=number)
    name = EnvironmentName(environment)
    return Commit(made, tuple(parents), height, name, action, "ann", when, str(number), restores=restores)


class Commits(dict[CommitId, Commit]):
    """A store of commits."""

    def __call__(self, ids: Collection[CommitId]) -> Mapping[CommitId, Commit]:
        return {i: self[i] for i in ids}

    def add(self, made: Commit) -> CommitId:
        self[made.id] = made
        return made.id


@st.composite
def histories(draw: st.DrawFn, most: int = 14) -> tuple[Commits, list[CommitId]]:
    """Commits in the order in which they were made, each later than its parents, with up to two parents each."""
    commits, order = Commits(), list[CommitId]()
    at = BEGIN
    for number in range(draw(st.integers(1, most))):
        at += timedelta(hours=draw(st.integers(0, 3)))
        parents = draw(st.lists(st.sampled_from(order), max_size=2, unique=True)) if order else []
        height = 1 + max((commits[p].height for p in parents), default=0)
        order.append(commits.add(commit(number, parents, height=height, at=at)))
    return commits, order
