"""Adopting: tables that somebody else made come under management as they stand, and go back.

An adopted table isn't copied: it gets its snapshot's name, a view gets its own, and the store says that it is built;
all of that is published as one. It stands beside other tables of its schema, not where builds stand; ``adopted/``
cells lead from a project's snapshot to it, so that later plans reuse it. From then on it is a build like any other.

The way back is open as long as the trunk alone reads it: an undo or a restore to before the adoption *releases* it.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, cast

from anabranch.app.state import State
from anabranch.domain import intervals, planner, schedule
from anabranch.domain.commit import Action, Environment
from anabranch.domain.graph import order
from anabranch.domain.ids import CommitId, PlanId, StepId
from anabranch.domain.names import AssetName, EnvironmentName, nearest
from anabranch.domain.places import adopted_location, is_adopted
from anabranch.domain.plan import Adopt, Decision, Plan, Reason, Requirement, Verb
from anabranch.domain.snapshot import INCREMENTAL, REFRESHED, Kind, Snapshot
from anabranch.domain.tree import EMPTY, Change
from anabranch.errors import ModelError, NotFound, Refused, StatementFailed
from anabranch.ports.loader import Project
from anabranch.ports.provider import Adopts, Provider, Standing

if TYPE_CHECKING:
    from anabranch.app.planning import Setting

_SEEN_THROUGH = frozenset({Kind.VIEW, Kind.EMBEDDED})
_INSTEAD = {
    Kind.VIEW: "a view holds no data: rename or drop the one that stands there, and anabranch apply makes it",
    Kind.SEED: "a seed's data is its file's: rename or drop the table that stands there, and anabranch apply loads it",
    Kind.EXTERNAL: "a source stays what it is, and needs no adoption",
    Kind.EMBEDDED: "nothing physical belongs to it",
}


@dataclass(frozen=True, slots=True)
class _Scene:
    """What an adoption begins with: the project's files, and the trunk as it is."""

    trunk: EnvironmentName
    files: Mapping[AssetName, Snapshot]
    current: Mapping[AssetName, Snapshot]
    now: int
    check: bool

    def is_managed(self, asset: AssetName) -> bool:
        """A source isn't: a model may have taken its place, and its table be adopted."""
        return asset in self.current and self.current[asset].kind is not Kind.EXTERNAL


@dataclass(slots=True)
class _Found:
    """What is adopted. ``more``: what comes into the trunk besides, for the adopted read it: sources, embedded models,
    views."""

    adopted: dict[AssetName, Snapshot] = field(default_factory=dict)
    steps: dict[AssetName, Adopt] = field(default_factory=dict)
    more: dict[AssetName, Snapshot] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Adopting:
    """Plans adoptions."""

    def __init__(self, state: State, providers: Mapping[str, Provider], *, author: str) -> None:
        self._state = state
        self._providers = providers
        self._author = author

    def plan(
        self,
        trunk: EnvironmentName,
        project: Project,
        names: Collection[str],
        setting: Setting,
        now: datetime,
        *,
        check: bool = True,
    ) -> Plan:
        """``names``: of assets, each of which must be fit to be adopted; or patterns (``marts.*``), of which those are
        adopted that are fit. ``check``: whether declared keys must be unique.

        Raises:
            NotFound: a name is none of the project's, or a pattern fits nothing.
            Refused: a table isn't what its model describes, or its model reads what the trunk doesn't have.
        """
        there = self._state.environment(trunk)
        before = self._state.commit(there.head).tree if there else EMPTY
        entries = self._state.trees.entries(before)
        known = self._state.snapshots(list(entries.values()))
        current = {a: known[i] for a, i in entries.items()}
        scene = _Scene(trunk, project.assets, current, intervals.seconds(now), check)
        found = self._find(scene, names)
        fresh = self._state.learn([*found.adopted.values(), *found.more.values()])
        tree = self._state.trees.patch(before, [Change(s.asset, entries.get(s.asset), i) for i, s in fresh.items()])
        decisions = self._decisions(scene, found)
        self._check(trunk, found.more)
        after = {**current, **found.adopted, **found.more}
        points = self._providers if found.steps else ()
        work = planner.steps(decisions, {**known, **fresh}, trunk, points, after.get)
        return Plan(
            id=PlanId(uuid.uuid4().hex[:12]),
            action=Action.ADOPT,
            environment=trunk,
            requires=Requirement(there.head if there else None),
            before=before,
            tree=tree,
            parents=(there.head,) if there else (),
            decisions=tuple(decisions),
            steps=(*found.steps.values(), *work),
            total=self._state.trees.count(tree),
            settings=there or _new(trunk, setting, now),
            author=self._author,
            message=f"adopt {_listed(found.steps)}",
            notes=tuple(found.notes),
            now=intervals.seconds(now),
        )

    # -- what is adopted -------------------------------------------------------------------------------------------
    def _find(self, scene: _Scene, names: Collection[str]) -> _Found:
        chosen, exact = self._chosen(scene, names)
        standing = self._standing(scene.files[a] for a in chosen)
        for asset in sorted(exact):
            if scene.files[asset].kind not in REFRESHED:
                raise Refused(
                    f"{asset} is of kind {scene.files[asset].kind.value.upper()}, so there is no table to adopt",
                    asset=asset,
                    hint=_INSTEAD[scene.files[asset].kind],
                )
            if standing.get(asset) is not Standing.TABLE:
                raise _not_a_table(asset, standing.get(asset))
        found = _Found()
        for asset in order({a: list(s.upstreams) for a, s in scene.files.items()}):
            if asset not in chosen or asset not in standing or scene.files[asset].kind not in REFRESHED:
                continue
            try:
                if standing[asset] is not Standing.TABLE:
                    raise _not_a_table(asset, standing[asset])
                self._look(scene, asset, found)
            except (Refused, ModelError, StatementFailed) as error:
                if asset in exact:
                    raise
                found.notes.append(f"{asset} is left out: {error.message}")
        if found.steps:
            found.notes.append("the rows are taken as they are: nothing is computed, nothing compared with the queries")
        return found

    def _look(self, scene: _Scene, asset: AssetName, found: _Found) -> None:
        """At one table, and at what its model reads."""
        wanted = scene.files[asset]
        snapshot = replace(wanted, location=adopted_location(asset, wanted.fingerprint))
        more = self._read(scene, wanted, found.adopted)
        if self._state.physical([snapshot.location]):
            raise Refused(
                f"{snapshot.location} still holds what was adopted for {asset} before",
                asset=asset,
                hint="anabranch restore brings that back; anabranch gc drops it once nothing needs it",
            )
        known = {**scene.files, **scene.current}
        views = {a: s for a, s in {**found.more, **more}.items() if s.kind is Kind.VIEW}
        known.update({a: replace(s, kind=Kind.EMBEDDED) for a, s in views.items()})  # they aren't built yet
        known.update({a: replace(s, location=str(a)) for a, s in found.adopted.items()})  # where it stands until then
        inputs = _inputs(snapshot, known)
        built, notes = self._adopts(snapshot.provider).survey(snapshot, inputs, scene.now, check=scene.check)
        identifier = StepId(f"adopt:{asset}")
        said = built.rows, built.columns, built.content
        found.steps[asset] = Adopt(identifier, snapshot.provider, asset, snapshot.id, *said)
        found.adopted[asset] = snapshot
        found.more.update(more)
        found.notes += notes

    def _chosen(self, scene: _Scene, names: Collection[str]) -> tuple[set[AssetName], set[AssetName]]:
        """All that are meant and aren't managed yet; and those of them that were named one by one."""
        chosen: set[AssetName] = set()
        exact: set[AssetName] = set()
        for text in names:
            if any(c in text for c in "*?["):
                fitting = {a for a in scene.files if fnmatchcase(a, text.lower())}
                if not fitting:
                    raise NotFound(f"no asset of the project fits {text!r}", hint="a pattern is written marts.*")
                chosen |= {a for a in fitting if not scene.is_managed(a)}
                continue
            asset = AssetName(text.lower())
            if asset not in scene.files:
                near = nearest(asset, list(scene.files))
                hint = f"did you mean {near}?" if near else "what is adopted needs a model that describes it"
                raise NotFound(f"there is no model {asset}", hint=hint)
            if scene.is_managed(asset):
                if is_adopted(scene.current[asset].location):
                    continue  # already
                hint = f"anabranch apply {scene.trunk}"
                raise Refused(f"{asset} is in {scene.trunk} already", asset=asset, hint=hint)
            exact.add(asset)
        return chosen | exact, exact

    def _standing(self, snapshots: Iterable[Snapshot]) -> dict[AssetName, Standing]:
        by_provider: dict[str, list[AssetName]] = {}
        for snapshot in snapshots:
            by_provider.setdefault(snapshot.provider, []).append(snapshot.asset)
        found: dict[AssetName, Standing] = {}
        for name, assets in sorted(by_provider.items()):
            found.update(self._adopts(name).standing(assets))
        return found

    def _adopts(self, name: str) -> Adopts:
        return cast(Adopts, self._providers[name])

    def _read(
        self, scene: _Scene, snapshot: Snapshot, adopted: Mapping[AssetName, Snapshot]
    ) -> dict[AssetName, Snapshot]:
        """What must come into the trunk along with an adopted asset.

        Raises:
            Refused: it would have to be built first.
        """
        asset, trunk = snapshot.asset, scene.trunk
        found: dict[AssetName, Snapshot] = {}
        stack = [(u, "") for u in sorted(snapshot.upstreams)]
        while stack:
            upstream, view = stack.pop()
            wanted, there = scene.files[upstream], scene.current.get(upstream)
            if upstream in adopted and view:
                raise Refused(
                    f"{asset} reads {view}, a view over {upstream}, which is adopted only now",
                    asset=asset,
                    hint=f"first anabranch adopt {upstream}, then anabranch adopt {asset}",
                )
            if upstream in adopted or upstream in found:
                continue
            if there is not None and there.fingerprint == wanted.fingerprint:
                continue
            if there is not None:
                raise Refused(
                    f"{asset} reads {upstream}, which {trunk} has in another version than the files",
                    asset=asset,
                    hint=f"bring {trunk} up to the files first: anabranch apply {trunk}",
                )
            if wanted.kind is not Kind.EXTERNAL and wanted.kind not in _SEEN_THROUGH:
                raise Refused(
                    f"{asset} reads {upstream}, which {trunk} doesn't have yet",
                    asset=asset,
                    hint=f"adopt it too: anabranch adopt {upstream} {asset}; or build it first",
                )
            found[upstream] = wanted
            through = str(upstream) if wanted.kind is Kind.VIEW else view
            stack += [(u, through) for u in sorted(wanted.upstreams)]
        return found

    def _decisions(self, scene: _Scene, found: _Found) -> list[Decision]:
        built = self._state.built([s.location for s in found.more.values() if s.is_physical])
        was = {a: s.id for a, s in scene.current.items()}
        made = []
        for asset, step in found.steps.items():
            phrase = _phrase(step, found.adopted[asset])
            made.append(Decision(asset, was.get(asset), step.snapshot, Verb.ADOPT, Reason.ADDED, phrase))
        for asset, snapshot in found.more.items():
            verb = Verb.DEFINE
            if snapshot.is_physical:
                verb = Verb.REUSE if snapshot.location in built else Verb.BUILD
            made.append(Decision(asset, None, snapshot.id, verb, Reason.ADDED, "what is adopted reads it"))
        return sorted(made, key=lambda d: d.asset)

    def _check(self, trunk: EnvironmentName, more: Mapping[AssetName, Snapshot]) -> None:
        try:
            for name in sorted({s.provider for s in more.values()}):
                self._providers[name].check(trunk, {a: s for a, s in more.items() if s.provider == name})
        finally:
            for provider in self._providers.values():
                provider.close()


def _inputs(snapshot: Snapshot, known: Mapping[AssetName, Snapshot]) -> dict[AssetName, Snapshot]:
    """What a snapshot reads, and through embedded models what they read."""
    found: dict[AssetName, Snapshot] = {}
    stack = list(snapshot.upstreams)
    while stack:
        asset = stack.pop()
        if asset not in found:
            found[asset] = known[asset]
            stack += known[asset].upstreams if known[asset].kind is Kind.EMBEDDED else ()
    return found


def _new(name: EnvironmentName, setting: Setting, now: datetime) -> Environment:
    circumstances = setting.branch, setting.owner, now, setting.expires_at, setting.protected
    return Environment(name, CommitId(EMPTY), None, None, *circumstances)


def _not_a_table(asset: AssetName, standing: Standing | None) -> Refused:
    if standing is Standing.VIEW:
        return Refused(
            f"{asset} is a view, so there is no table to adopt",
            asset=asset,
            hint="adopt a table of that name with its rows; or rename the view, and apply builds the model",
        )
    return Refused(f"there is no table {asset} to adopt", asset=asset, hint="anabranch apply builds it")


def _phrase(step: Adopt, snapshot: Snapshot) -> str:
    rows = "" if step.rows is None else f"{step.rows:,} row{'' if step.rows == 1 else 's'}"
    if step.content is None or snapshot.kind not in INCREMENTAL:
        return rows
    held = step.content.now.held
    unit = schedule.read(snapshot.properties).unit.value.replace("_", " ")
    told = f"by {unit}: {intervals.shown((held[0][0], held[-1][1]))}" if held else f"no whole {unit}"
    return f"{rows}, holds {told}"


def _listed(assets: Collection[AssetName]) -> str:
    more = f" and {len(assets) - 3} more" if len(assets) > 3 else ""
    return ", ".join(sorted(assets)[:3]) + more
