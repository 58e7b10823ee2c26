"""Adopting: tables that somebody else made come under management as they stand, and go back.

An adopted table isn't copied: it gets its snapshot's name, a view gets its own, and the store says that it is built;
all of that is published as one. It stands beside other tables of its schema, not where builds stand; ``adopted/``
cells lead from a project's snapshot to it, so that later plans reuse it. From then on it is a build like any other.

The way back is open as long as the trunk alone reads it: an undo or a restore to before the adoption *releases* it.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
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
from anabranch.errors import NotFound, Refused
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
class _Wish:
    """What shall be adopted, and what isn't: ``notes`` say why. ``more``: what comes into the trunk besides, for the
    adopted read it: sources, embedded models, views."""

    adopted: Mapping[AssetName, Snapshot]
    more: Mapping[AssetName, Snapshot]
    notes: tuple[str, ...] = ()


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
        found = self._state.snapshots(list(entries.values()))
        current = {a: found[i] for a, i in entries.items()}
        wish = self._wish(trunk, project.assets, current, names)
        steps, notes = self._survey(wish, project.assets, current, intervals.seconds(now), check=check)
        fresh = self._state.learn([*wish.adopted.values(), *wish.more.values()])
        tree = self._state.trees.patch(before, [Change(s.asset, None, i) for i, s in fresh.items()])
        decisions = self._decisions(wish, steps)
        self._check(trunk, wish.more)
        more = {**current, **wish.adopted, **wish.more}
        points = self._providers if steps else ()
        work = planner.steps(decisions, {**found, **fresh}, trunk, points, more.get)
        return Plan(
            id=PlanId(uuid.uuid4().hex[:12]),
            action=Action.ADOPT,
            environment=trunk,
            requires=Requirement(there.head if there else None),
            before=before,
            tree=tree,
            parents=(there.head,) if there else (),
            decisions=tuple(decisions),
            steps=(*steps, *work),
            total=self._state.trees.count(tree),
            settings=there or _new(trunk, setting, now),
            author=self._author,
            message=f"adopt {_listed([s.asset for s in steps])}",
            notes=(*wish.notes, *notes),
            now=intervals.seconds(now),
        )

    # -- what is adopted -------------------------------------------------------------------------------------------
    def _wish(
        self,
        trunk: EnvironmentName,
        files: Mapping[AssetName, Snapshot],
        current: Mapping[AssetName, Snapshot],
        names: Collection[str],
    ) -> _Wish:
        chosen, exact = self._chosen(trunk, files, current, names)
        standing = self._standing(files[a] for a in chosen)
        notes: list[str] = []
        for asset in sorted(chosen):
            if asset not in exact:
                continue
            if files[asset].kind not in REFRESHED:
                raise Refused(
                    f"{asset} is of kind {files[asset].kind.value.upper()}, so there is no table to adopt",
                    asset=asset,
                    hint=_INSTEAD[files[asset].kind],
                )
            if standing.get(asset) is not Standing.TABLE:
                raise _not_a_table(asset, standing.get(asset))
        fit = {a for a in chosen if files[a].kind in REFRESHED and standing.get(a) is Standing.TABLE}
        adopted: dict[AssetName, Snapshot] = {}
        more: dict[AssetName, Snapshot] = {}
        for asset in [a for a in order({a: list(s.upstreams) for a, s in files.items()}) if a in fit]:
            try:
                more.update(self._read(trunk, files[asset], files, current, adopted))
            except Refused as refused:
                if asset in exact:
                    raise
                notes.append(f"{asset} is left out: {refused.message}")
                continue
            location = adopted_location(asset, files[asset].fingerprint)
            adopted[asset] = replace(files[asset], location=location)
        views = sorted(a for a in chosen if a not in exact and standing.get(a) is Standing.VIEW)
        notes += [f"{a} is left out: it is a view" for a in views if files[a].kind in REFRESHED]
        self._check_free(adopted)
        return _Wish(adopted, more, tuple(notes))

    def _chosen(
        self,
        trunk: EnvironmentName,
        files: Mapping[AssetName, Snapshot],
        current: Mapping[AssetName, Snapshot],
        names: Collection[str],
    ) -> tuple[set[AssetName], set[AssetName]]:
        """All that are meant and aren't managed yet; and those of them that were named one by one."""
        chosen: set[AssetName] = set()
        exact: set[AssetName] = set()
        for text in names:
            if any(c in text for c in "*?["):
                fitting = {a for a in files if fnmatchcase(a, text.lower())}
                if not fitting:
                    raise NotFound(f"no asset of the project fits {text!r}", hint="a pattern is written marts.*")
                chosen |= fitting - current.keys()
                continue
            asset = AssetName(text.lower())
            if asset not in files:
                near = nearest(asset, list(files))
                hint = f"did you mean {near}?" if near else "what is adopted needs a model that describes it"
                raise NotFound(f"there is no model {asset}", hint=hint)
            if asset in current:
                if is_adopted(current[asset].location) and current[asset].kind in REFRESHED:
                    continue  # already
                raise Refused(f"{asset} is in {trunk} already", asset=asset, hint=f"anabranch apply {trunk}")
            exact.add(asset)
        return chosen | exact, exact

    def _standing(self, snapshots: Iterator[Snapshot] | Collection[Snapshot]) -> dict[AssetName, Standing]:
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
        self,
        trunk: EnvironmentName,
        snapshot: Snapshot,
        files: Mapping[AssetName, Snapshot],
        current: Mapping[AssetName, Snapshot],
        adopted: Mapping[AssetName, Snapshot],
    ) -> dict[AssetName, Snapshot]:
        """What must come into the trunk along with an adopted asset.

        Raises:
            Refused: it would have to be built first.
        """
        asset = snapshot.asset
        found: dict[AssetName, Snapshot] = {}
        stack = [(u, "") for u in sorted(snapshot.upstreams)]
        while stack:
            upstream, view = stack.pop()
            wanted, there = files[upstream], current.get(upstream)
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

    def _check_free(self, adopted: Mapping[AssetName, Snapshot]) -> None:
        taken = self._state.physical([s.location for s in adopted.values()])
        for asset, snapshot in sorted(adopted.items()):
            if snapshot.location in taken:
                raise Refused(
                    f"{snapshot.location} still holds what was adopted for {asset} before",
                    asset=asset,
                    hint="anabranch restore brings that back; anabranch gc drops it once nothing needs it",
                )

    # -- what is found there ---------------------------------------------------------------------------------------
    def _survey(
        self,
        wish: _Wish,
        files: Mapping[AssetName, Snapshot],
        current: Mapping[AssetName, Snapshot],
        now: int,
        *,
        check: bool,
    ) -> tuple[list[Adopt], list[str]]:
        steps: list[Adopt] = []
        notes: list[str] = []
        known = {**files, **current}
        known.update({a: replace(s, kind=Kind.EMBEDDED) for a, s in wish.more.items() if s.kind is Kind.VIEW})
        known.update({a: replace(s, location=str(a)) for a, s in wish.adopted.items()})  # where it stands until then
        for asset, snapshot in sorted(wish.adopted.items()):
            inputs = _inputs(snapshot, known)
            built, told = self._adopts(snapshot.provider).survey(snapshot, inputs, now, check=check)
            notes += told
            identifier = StepId(f"adopt:{asset}")
            found = built.rows, built.columns, built.content
            steps.append(Adopt(identifier, snapshot.provider, asset, snapshot.id, *found))
        if steps:
            notes.append("the rows are taken as they are: nothing is computed, and they aren't compared with the query")
        return steps, notes

    def _decisions(self, wish: _Wish, steps: Collection[Adopt]) -> list[Decision]:
        built = self._state.built([s.location for s in wish.more.values() if s.is_physical])
        found = [
            Decision(s.asset, None, s.snapshot, Verb.ADOPT, Reason.ADDED, _phrase(s, wish.adopted[s.asset]))
            for s in steps
        ]
        for asset, snapshot in wish.more.items():
            verb = Verb.DEFINE
            if snapshot.is_physical:
                verb = Verb.REUSE if snapshot.location in built else Verb.BUILD
            found.append(Decision(asset, None, snapshot.id, verb, Reason.ADDED, "what is adopted reads it"))
        return sorted(found, key=lambda d: d.asset)

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
            hint="put its rows into a table of that name and adopt that; or rename the view, and apply builds the model",
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
