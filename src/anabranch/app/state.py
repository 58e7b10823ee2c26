"""The store with types: environments, commits, trees, snapshots, what is built, and open journals.

===========================  ==============================================================================
cell                         what it says
===========================  ==============================================================================
``ref/ENV``                  an environment: its head and circumstances
``open/PLAN``                a plan that is being applied: its body, who applies it, and their last sign of life
``line/PLAN/STEP``           its journal: the latest mark of a step (no step: of the plan)
``physical/LOCATION``        what stands at a location: being built (by whom), built, or condemned
``journals``                 changes whenever a journal is opened
``content/LOCATION``         its generations: which is current, and what each holds
``audited/LOCATION``         of each generation of it, the audits that were run and didn't block
``refresh/LOCATION``         the plan that is computing or bringing back a generation of it
``same/LOCATION``            the location that holds what would be built there
``adopted/LOCATION``         where the table stands that was adopted for what is built at that location
``token/LOCATION``           of a clone: at which revision of the provider it was looked at, and what told its content
``verified/ENV``             the head and the provider's revision at which no drift was found
===========================  ==============================================================================
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from anabranch.app.holder import LIFETIME, Holder
from anabranch.domain import commit as commits
from anabranch.domain import plan_codec, restated
from anabranch.domain import snapshot as snapshots
from anabranch.domain.commit import Commit, Environment
from anabranch.domain.content import Content, first
from anabranch.domain.ids import CommitId, ObjectId, PlanId, SnapshotId, StepId, TreeId, canonical
from anabranch.domain.journal import Entry, Mark, Progress, replay
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.plan import Plan
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.domain.tree import Trees
from anabranch.errors import NotFound
from anabranch.ports.provider import Built
from anabranch.ports.store import Store

REF, OPEN, LINE, PHYSICAL, VERIFIED, JOURNALS = "ref/", "open/", "line/", "physical/", "verified/", "journals"
CONTENT, REFRESHING, AUDITED = "content/", "refresh/", "audited/"
SAME, ADOPTED, TOKEN, SIZE, COST = "same/", "adopted/", "token/", "size/", "cost/"


class Stage(StrEnum):
    """What is going on at a location."""

    BUILDING = "building"
    BUILT = "built"
    CONDEMNED = "condemned"
    """Being dropped or replaced: what stands there isn't to be trusted."""


@dataclass(frozen=True, slots=True)
class Physical:
    """What stands at a location. ``holder`` and ``seen`` (seconds since 1970): who is at it, and their last sign of
    life."""

    location: str
    snapshot: SnapshotId
    stage: Stage
    holder: str = ""
    seen: float = 0.0
    built: Built | None = None
    at: float = 0.0

    def encode(self) -> bytes:
        b = self.built
        made: list[object] | None = [b.rows, [list(c) for c in b.columns], b.definition, b.seconds] if b else None
        if made is not None and b is not None and b.token:
            made += [b.token, b.base]
        return canonical([self.snapshot, self.stage, self.holder, self.seen, made, self.at])

    @staticmethod
    def decode(location: str, data: bytes) -> Physical:
        snapshot, stage, holder, seen, made, at = json.loads(data)
        built = Built(made[0], tuple((n, t) for n, t in made[1]), made[2], made[3]) if made else None
        if built is not None and len(made) > 4:
            built = replace(built, token=made[4], base=made[5])
        return Physical(location, snapshot, Stage(stage), holder, seen, built, at)


@dataclass(frozen=True, slots=True)
class OpenPlan:
    """A plan under way, or interrupted."""

    plan: Plan
    holder: str
    seen: float

    def encode(self) -> bytes:
        return canonical([plan_codec.encode(self.plan).decode(), self.holder, self.seen])

    @staticmethod
    def decode(data: bytes) -> OpenPlan:
        plan, holder, seen = json.loads(data)
        return OpenPlan(plan_codec.decode(plan.encode()), holder, seen)


class State:
    """Reads are cached where what is read never changes."""

    def __init__(self, store: Store, holder: Holder | None = None, lifetime: float = LIFETIME) -> None:
        """``lifetime``: seconds after its last sign of life that a holder counts as dead."""
        self.store = store
        self.holder = holder or Holder.here()
        self.lifetime = lifetime
        self.trees = Trees(self._objects)
        self._commits: dict[CommitId, Commit] = {}
        self._snapshots: dict[SnapshotId, Snapshot] = {}

    def _objects(self, ids: Collection[TreeId]) -> dict[TreeId, bytes]:
        return {TreeId(i): data for i, data in self.store.get(list(ids)).items()}

    # -- environments ----------------------------------------------------------------------------------------------
    def environments(self) -> dict[EnvironmentName, Environment]:
        """All, by name."""
        found = (commits.decode_environment(data) for data in self.store.scan(REF).values())
        return {e.name: e for e in found}

    def environment(self, name: EnvironmentName) -> Environment | None:
        data = self.store.read([REF + name]).get(REF + name)
        return commits.decode_environment(data) if data else None

    def require(self, name: EnvironmentName) -> Environment:
        """Raises ``NotFound`` with the nearest name."""
        found = self.environment(name)
        if found is None:
            from anabranch.domain.names import nearest  # only errors need it

            near = nearest(name, list(self.environments()))
            hint = f"did you mean {near}?" if near else f"make it: anabranch apply {name}"
            raise NotFound(f"there is no environment {name}", hint=hint)
        return found

    # -- objects ---------------------------------------------------------------------------------------------------
    def commits(self, ids: Collection[CommitId]) -> dict[CommitId, Commit]:
        """Raises ``KeyError`` where one isn't kept."""
        missing = [i for i in ids if i not in self._commits]
        if missing:
            found = self.store.get(missing)
            self._commits.update({i: commits.decode(found[i]) for i in missing})
        return {i: self._commits[i] for i in ids}

    def commit(self, identifier: CommitId) -> Commit:
        return self.commits([identifier])[identifier]

    def snapshots(self, ids: Collection[SnapshotId]) -> dict[SnapshotId, Snapshot]:
        """Raises ``KeyError`` where one isn't kept."""
        missing = [i for i in ids if i not in self._snapshots]
        if missing:
            found = self.store.get(missing)
            self._snapshots.update({i: snapshots.decode(found[i]) for i in missing})
        return {i: self._snapshots[i] for i in ids}

    def own(self, entries: Mapping[AssetName, SnapshotId]) -> dict[AssetName, Snapshot]:
        """Those of an environment's snapshots that may have a mark (:mod:`anabranch.domain.restated`), and clones: few,
        so that most aren't decoded."""
        marked, cloned = restated.PROPERTY.encode(), f'"kind":"{Kind.CLONE}"'.encode()
        missing = [i for i in entries.values() if i not in self._snapshots]
        few = (
            [SnapshotId(i) for i, data in self.store.get(missing).items() if marked in data or cloned in data]
            if missing
            else []
        )
        known = [i for i in entries.values() if i in self._snapshots]
        found = self.snapshots([*few, *known])
        return {a: found[i] for a, i in entries.items() if i in found}

    def learn(self, found: Iterable[Snapshot]) -> dict[SnapshotId, Snapshot]:
        """Makes snapshots known here, by id; :meth:`keep` writes those that are needed."""
        by_id = {s.id: s for s in found}
        self._snapshots.update(by_id)
        return by_id

    def keep(self, ids: Collection[SnapshotId], new_commits: Collection[Commit] = ()) -> None:
        """Writes the snapshots ``ids``, ``new_commits`` and all new tree nodes. Objects come before the refs that need
        them."""
        objects: dict[ObjectId, bytes] = {i: snapshots.encode(self._snapshots[i]) for i in ids}
        objects.update({ObjectId(i): data for i, data in self.trees.fresh.items()})
        for commit in new_commits:
            self._commits[commit.id] = commit
            objects[commit.id] = commits.encode(commit)
        if objects:
            self.store.put(objects)
        self.trees.fresh.clear()

    # -- what is built ---------------------------------------------------------------------------------------------
    def physical(self, locations: Collection[str]) -> dict[str, Physical]:
        cells = self.store.read([PHYSICAL + location for location in locations])
        return {k.removeprefix(PHYSICAL): Physical.decode(k.removeprefix(PHYSICAL), v) for k, v in cells.items()}

    def all_physical(self) -> dict[str, Physical]:
        cells = self.store.scan(PHYSICAL)
        return {k.removeprefix(PHYSICAL): Physical.decode(k.removeprefix(PHYSICAL), v) for k, v in cells.items()}

    def built(self, locations: Collection[str]) -> dict[str, Built]:
        """Of those that hold a finished build, what it made."""
        return {k: p.built for k, p in self.physical(locations).items() if p.stage is Stage.BUILT and p.built}

    def contents(self, locations: Collection[str]) -> dict[str, Content]:
        """Of those whose generations are recorded; where there is no record, a finished build is generation 0."""
        cells = self.store.read([CONTENT + location for location in locations])
        found = {k.removeprefix(CONTENT): Content.decode(v) for k, v in cells.items()}
        rest = self.physical([location for location in locations if location not in found])
        found.update({location: first((), p.at) for location, p in rest.items() if p.stage is Stage.BUILT})
        return found

    def audited(self, locations: Collection[str]) -> dict[str, dict[int, set[str]]]:
        """By location and generation, what :func:`anabranch.domain.audit.audited_key` tells of the audits that it
        has passed."""
        cells = self.store.read([AUDITED + location for location in locations])
        return {k.removeprefix(AUDITED): decode_audited(v) for k, v in cells.items()}

    def placed(self, found: Collection[Snapshot]) -> list[Snapshot]:
        """Snapshots as a project has them, at the locations of tables that were adopted for them."""
        adopted = {k.removeprefix(ADOPTED): v.decode() for k, v in self.store.scan(ADOPTED).items()}
        return [replace(s, location=adopted[s.location]) if s.location in adopted else s for s in found]

    # -- journals --------------------------------------------------------------------------------------------------
    def open_plans(self) -> dict[PlanId, OpenPlan]:
        found = (OpenPlan.decode(data) for data in self.store.scan(OPEN).values())
        return {o.plan.id: o for o in found}

    def is_dead(self, holder: str, seen: float) -> bool:
        """Whether whoever held it is gone (or gave it up: no holder)."""
        if not holder:
            return True
        if holder == self.holder.token:
            return False
        return self.holder.knows_dead(holder) or self.store.now() - seen > self.lifetime

    def progress(self, plan: PlanId) -> Progress:
        prefix = f"{LINE}{plan}/"
        cells = self.store.scan(prefix)
        return replay(Entry(Mark(v.decode()), StepId(k.removeprefix(prefix)) or None) for k, v in cells.items())

    def close_plan(self, plan: PlanId) -> None:
        """Ends a journal; nothing of it is needed any more."""
        cells = dict.fromkeys([OPEN + plan, *self.store.scan(f"{LINE}{plan}/")])
        held = self.store.scan(REFRESHING)
        cells.update(dict.fromkeys(k for k, v in held.items() if v == plan.encode()))
        self.store.swap({}, cells)

    def swap(
        self,
        change: Callable[[Mapping[str, bytes]], Mapping[str, bytes | None] | None],
        keys: Collection[str],
        *,
        durable: bool = True,
    ) -> bool:
        """Reads ``keys``, lets ``change`` say what to write (None: give up), and writes it if they still are as read;
        again until it holds. Returns False where ``change`` gave up."""
        while True:
            seen = self.store.read(keys)
            write = change(seen)
            if write is None:
                return False
            if self.store.swap({k: seen.get(k) for k in keys}, write, durable=durable):
                return True


def encode_audited(passed: Mapping[int, Collection[str]]) -> bytes:
    """An ``audited/`` cell."""
    return canonical({str(n): sorted(keys) for n, keys in passed.items()})


def decode_audited(data: bytes) -> dict[int, set[str]]:
    """The inverse of :func:`encode_audited`."""
    return {int(n): set(keys) for n, keys in json.loads(data).items()}


def line(plan: PlanId, step: StepId | None) -> str:
    """The journal cell of a step, or of the plan as a whole."""
    return f"{LINE}{plan}/{step or ''}"


def renewed(data: bytes, key: str, now: float) -> bytes:
    """An ``open/`` or ``physical/`` cell with a newer sign of life."""
    if key.startswith(OPEN):
        return replace(OpenPlan.decode(data), seen=now).encode()
    return replace(Physical.decode(key.removeprefix(PHYSICAL), data), seen=now).encode()
