"""Clones of sources in environments: which there are, what was written to them, and new ones."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from anabranch.app.state import TOKEN, State
from anabranch.domain import intervals, restated
from anabranch.domain.clones import (
    AT,
    CARRIES,
    COPIED,
    DEPTH,
    ORIGIN,
    PAST,
    Begun,
    as_clone,
    clone_id,
    cloned,
    clones_among,
    differs,
    is_behind,
    mark_of,
    marked,
    merged_mark,
    uncloned,
)
from anabranch.domain.commit import Environment
from anabranch.domain.ids import TreeId, canonical
from anabranch.domain.names import AssetName, EnvironmentName, nearest
from anabranch.domain.plan import Plan
from anabranch.domain.restated import PROPERTY, Restated
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.errors import NotFound, Refused, StalePlan, WarehouseBusy
from anabranch.ports.clones import Clones
from anabranch.ports.loader import Project
from anabranch.ports.provider import Built, Provider


@dataclass(frozen=True, slots=True)
class Looked:
    """The clones of an environment, with the marks that they have by now. ``lost``: those that are gone. ``notes``: why
    it wasn't looked at what was written."""

    clones: Mapping[AssetName, Snapshot]
    lost: frozenset[AssetName] = frozenset()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """A clone, for people. ``is_written`` is None where it can't be told just now; ``own``: bytes that it shares with
    no other table."""

    asset: AssetName
    location: str
    at: int
    past: str
    origin: str
    is_copy: bool
    is_written: bool | None
    own: int | None


class CloneKeeper:
    """See the module's text."""

    def __init__(
        self,
        state: State,
        providers: Mapping[str, Provider],
        *,
        trunk: EnvironmentName,
        always: Collection[AssetName],
    ) -> None:
        """``always``: the sources of which every environment but the trunk gets a clone."""
        self._state = state
        self._providers = providers
        self._trunk = trunk
        self._always = always
        self._known: dict[TreeId, dict[AssetName, Snapshot]] = {}

    # -- what there is ---------------------------------------------------------------------------------------------
    def of(self, environment: Environment) -> dict[AssetName, Snapshot]:
        """Those of an environment, as it was last applied."""
        if environment.name == self._trunk:
            return {}
        tree = self._state.commit(environment.head).tree
        if tree not in self._known:
            self._known[tree] = clones_among(self._state.own(self._state.trees.entries(tree)))
        return self._known[tree]

    def look(self, environment: Environment) -> Looked:
        """The same, as they are now."""
        clones = self.of(environment)
        if not clones:
            return Looked({})
        try:
            tokens = self._tokens(clones.values())
        except WarehouseBusy as busy:
            return Looked(clones, notes=(f"clones were not looked at: {busy.message}",))
        begun = self._state.built([s.location for s in clones.values()])
        found: dict[AssetName, Snapshot] = {}
        lost = set()
        for asset, clone in clones.items():
            made = begun.get(clone.location)
            if clone.location not in tokens:
                lost.add(asset)
                found[asset] = clone
            else:
                mark = mark_of(clone, tokens[clone.location], made.token if made is not None else "")
                found[asset] = marked(clone, mark)
        return Looked(found, frozenset(lost))

    def _tokens(self, clones: Collection[Snapshot]) -> dict[str, str]:
        """What tells their content, by location. Nothing is asked of a provider in which nothing has changed since."""
        cells = self._state.store.read([TOKEN + s.location for s in clones])
        known = {k.removeprefix(TOKEN): json.loads(v) for k, v in cells.items()}
        found: dict[str, str] = {}
        for name in sorted({s.provider for s in clones}):
            own = [s for s in clones if s.provider == name]
            provider = cast(Clones, self._providers[name])
            revision = provider.revision()
            if revision is not None and all(known.get(s.location, [None])[0] == revision for s in own):
                found.update({s.location: known[s.location][1] for s in own})
                continue
            try:
                tokens = provider.tokens(own)
            finally:
                provider.close()
            if revision is not None and provider.revision() == revision:
                write = {TOKEN + location: canonical([revision, token]) for location, token in tokens.items()}
                self._state.store.swap({}, write, durable=False)
            found.update(tokens)
        return found

    def listed(self, environment: Environment) -> list[Listed]:
        """For people."""
        looked = self.look(environment)
        sizes: dict[str, int] = {}
        for name in sorted({s.provider for s in looked.clones.values()}):
            provider = cast(Clones, self._providers[name])
            try:
                sizes.update(provider.own_bytes([s for s in looked.clones.values() if s.provider == name]))
            except WarehouseBusy:  # then none is told
                continue
            finally:
                provider.close()
        begun = self._state.built([s.location for s in looked.clones.values()])
        return [
            Listed(
                asset,
                clone.location,
                int(clone.properties[AT]),
                clone.properties.get(PAST, ""),
                clone.properties.get(ORIGIN, ""),
                COPIED in clone.properties,
                None
                if looked.notes
                else self._is_written(clone, begun[clone.location].token)
                if clone.location in begun
                else None,
                sizes.get(clone.location),
            )
            for asset, clone in sorted(looked.clones.items())
        ]

    def _is_written(self, clone: Snapshot, begun: str) -> bool:
        """Of one with the mark that it has by now. What was written to the clone whose place it took counts."""
        if CARRIES in clone.properties:
            return True
        return marked(clone, mark_of(clone, begun, begun)).properties != clone.properties

    def promoted(self, source: Environment, into: Environment) -> dict[AssetName, Snapshot]:
        """The clones of ``source`` whose writes a promotion takes along: as it was last applied.

        Raises:
            Refused: they hold something that ``into`` can't have.
        """
        theirs = self.of(source)
        if into.name != self._trunk and (theirs or self.of(into)):
            raise Refused(
                f"{source.name} or {into.name} has clones of its own: it can be promoted into {self._trunk} only",
                hint=f"anabranch promote {source.name} --into {self._trunk}",
            )
        looked = self.look(source)
        _require_looked(looked)
        for asset, clone in sorted(theirs.items()):
            if PAST in clone.properties:
                raise Refused(
                    f"the clone of {asset} in {source.name} is pinned to the past, and {into.name} reads its own",
                    asset=asset,
                    hint=f"give it up, and build over the source: anabranch clone --reset {asset} -e {source.name}",
                )
            if asset in looked.lost:
                raise Refused(f"the clone of {asset} in {source.name} is gone", asset=asset,
                              hint=f"anabranch apply {source.name} makes another one")  # fmt: skip
            if looked.clones[asset].properties != clone.properties:
                raise Refused(
                    f"the clone of {asset} in {source.name} was written to since {source.name} was applied",
                    asset=asset,
                    hint=f"build what reads it, then promote: anabranch apply {source.name}",
                )
        return {a: s for a, s in theirs.items() if differs(s)}

    # -- projects --------------------------------------------------------------------------------------------------
    def marks(self, looked: Looked) -> dict[AssetName, Restated]:
        """What the loader is to mix into the fingerprints of sources."""
        lost = {a: uncloned(marked(looked.clones[a], None)) for a in looked.lost}
        return restated.marks({**looked.clones, **lost})

    def put_back(self, project: Project, name: EnvironmentName, looked: Looked, now: datetime) -> Project:
        """The project as an environment has it: with clones in the place of sources. Those of sources that it doesn't
        declare any more are given up; those that are gone are cloned anew."""
        if name == self._trunk:
            return project
        sources = {a: s for a, s in project.assets.items() if s.kind is Kind.EXTERNAL}
        there = {a: s for a, s in looked.clones.items() if a in sources and a not in looked.lost}
        fresh = (set(self._always) | looked.lost) & sources.keys() - there.keys()
        found = {a: as_clone(sources[a], s) for a, s in there.items()}
        found.update({a: self.begin(name, sources[a], now) for a in sorted(fresh)})
        notes = tuple(f"the clone of {a} is gone: it is cloned anew" for a in sorted(looked.lost & sources.keys()))
        if not found and not notes and not looked.notes:
            return project
        return replace(project, assets={**project.assets, **found}, notes=project.notes + looked.notes + notes)

    def caught_up(self, name: EnvironmentName, looked: Looked, trunk: Environment, now: datetime) -> Looked:
        """The same, with new clones in the place of those into whose sources others were merged meanwhile: these begin
        as the source is now, and with what was written to the earlier one. Raises ``WarehouseBusy`` where that isn't
        known.
        """
        entries = self._state.trees.entries(self._state.commit(trunk.head).tree)
        found = self._state.snapshots([entries[a] for a in looked.clones if a in entries])
        sources = {s.asset: s for s in found.values() if s.kind is Kind.EXTERNAL}
        behind = {
            a: s
            for a, s in looked.clones.items()
            if a in sources and PAST not in s.properties and is_behind(s, sources[a])
        }
        if not behind:
            return looked
        _require_looked(looked)
        anew: dict[AssetName, Snapshot] = {}
        for asset, clone in behind.items():
            source = sources[asset]
            mark = clone.properties.get(PROPERTY) if differs(clone) and asset not in looked.lost else None
            if mark is not None and source.properties.get(PROPERTY) == merged_mark(mark):
                mark = None  # it is what was merged
            anew[asset] = self.begin(name, source, now, carries=mark or "")
        return replace(looked, clones={**looked.clones, **anew}, lost=looked.lost - anew.keys())

    def require_carried(self, plan: Plan) -> None:
        """Raises ``StalePlan`` where an earlier clone was written to after its writes were carried over."""
        found = self._state.snapshots([i for b in plan.builds for i in (b.snapshot, b.previous) if i is not None])
        for step in plan.builds:
            mark = found[step.snapshot].properties.get(CARRIES)
            if mark is None or step.previous is None:
                continue
            old = found[step.previous]
            token = self._tokens([old]).get(old.location)
            begun = self._state.built([old.location]).get(old.location, Built())
            if token is None or mark_of(old, token, begun.token) != mark:
                raise StalePlan(
                    f"the clone of {step.asset} was written to since the plan was made", hint="plan again",
                    asset=step.asset,
                )  # fmt: skip

    # -- new ones --------------------------------------------------------------------------------------------------
    def begin(
        self,
        name: EnvironmentName,
        source: Snapshot,
        now: datetime,
        *,
        past: datetime | None = None,
        origin: str = "",
        carries: str = "",
    ) -> Snapshot:
        """A new clone. ``carries``: the mark of an earlier one whose writes it has. Raises ``Refused`` where the source
        can't be cloned as it was at ``past``."""
        provider = cast(Clones, self._providers[source.provider])
        moment = past.isoformat() if past is not None else ""
        identifier = clone_id(name, source.id, moment, origin, now.isoformat())
        location = provider.clone_location(name, source.asset, identifier)
        if past is not None:
            try:
                provider.weigh(uncloned(source), past=True)
            finally:
                provider.close()
        depth = self._depth(source) + 1
        is_copy = provider.copies_clone(depth)
        begun = Begun(
            identifier, location, intervals.seconds(now), moment, origin, is_copy, 0 if is_copy else depth, carries
        )
        return cloned(source, begun)

    def _depth(self, source: Snapshot) -> int:
        """Of how many clones of one another a source, or a clone, is the last, as far as Anabranch made them."""
        if source.kind is Kind.CLONE:
            return int(source.properties.get(DEPTH, "0"))
        content = self._state.contents([source.location]).get(source.location)
        return content.now.depth if content is not None else 0

    def chosen(self, there: Mapping[AssetName, Snapshot], names: Collection[str]) -> list[AssetName]:
        """The sources among ``there`` that are named. Raises ``NotFound``, ``Refused``."""
        found = []
        for text in names:
            asset = AssetName(text.lower())
            sources = [a for a, s in there.items() if s.kind in (Kind.EXTERNAL, Kind.CLONE)]
            if asset in there and asset not in sources:
                raise Refused(
                    f"{asset} is built here: only sources are cloned",
                    asset=asset,
                    hint="change its model; this environment then has its own",
                )
            if asset not in there:
                near = nearest(asset, [str(a) for a in sources])
                hint = f"did you mean {near}?" if near else "declare it under sources: in anabranch.yaml, and apply"
                raise NotFound(f"there is no source {asset} in this environment", hint=hint)
            found.append(asset)
        return found

    def anew(
        self,
        environment: Environment,
        there: Mapping[AssetName, Snapshot],
        names: Collection[str],
        now: datetime,
        *,
        past: datetime | None,
        reset: bool,
    ) -> dict[AssetName, Snapshot]:
        """What ``names`` become in an environment: new clones, or (``reset``) sources again. Raises ``NotFound``,
        ``Refused``."""
        found: dict[AssetName, Snapshot] = {}
        for asset in self.chosen(there, names):
            source = uncloned(marked(there[asset], None)) if there[asset].kind is Kind.CLONE else there[asset]
            if not reset or asset in self._always:
                found[asset] = self.begin(environment.name, self._as_it_is(source), now, past=past)
            elif there[asset].kind is Kind.CLONE:
                found[asset] = source
            else:
                raise Refused(
                    f"{environment.name} has no clone of {asset}",
                    asset=asset,
                    hint=f"anabranch clone {asset} makes one",
                )
        return found

    def _as_it_is(self, source: Snapshot) -> Snapshot:
        """A source as a new clone holds it: with what the trunk knows to be merged into it by now."""
        trunk = self._state.environment(self._trunk)
        entry = self._state.trees.get(self._state.commit(trunk.head).tree, source.asset) if trunk is not None else None
        there = self._state.snapshots([entry])[entry] if entry is not None else source
        if there.kind is not Kind.EXTERNAL:
            return source
        properties = {k: v for k, v in source.properties.items() if k != PROPERTY}
        mark = {k: v for k, v in there.properties.items() if k == PROPERTY}
        return replace(source, properties={**properties, **mark})

    def first(
        self, name: EnvironmentName, base: Environment, now: datetime,
        past: datetime | None,
    ) -> dict[AssetName, Snapshot]:  # fmt: skip
        """The clones that a new environment begins with: of what ``base`` has clones of, and of all sources that are
        always cloned. What was written to those of ``base`` is in them, unless they are to be of the past.

        Raises:
            Refused: there is nothing to be cloned of the past.
        """
        clones = self.look(base).clones
        tree = self._state.commit(base.head).tree
        ids = [i for a in self._always if (i := self._state.trees.get(tree, a)) is not None]
        there = {s.asset: s for s in self._state.snapshots(ids).values()} | dict(clones)
        found: dict[AssetName, Snapshot] = {}
        for asset, snapshot in sorted(there.items()):
            if snapshot.kind is Kind.CLONE and past is None and differs(clones[asset]):
                found[asset] = self.begin(name, clones[asset], now, origin=base.name)
            elif snapshot.kind is Kind.CLONE or (snapshot.kind is Kind.EXTERNAL and asset in self._always):
                source = uncloned(marked(snapshot, None)) if snapshot.kind is Kind.CLONE else snapshot
                found[asset] = self.begin(name, source, now, past=past)
        if past is not None and not found:
            raise Refused(
                "no source of the project is cloned, so nothing can be pinned to the past",
                hint="write branch: clone under the source in anabranch.yaml; or make the environment, then"
                " anabranch clone TABLE --at TIME",
            )
        return found


def _require_looked(looked: Looked) -> None:
    if looked.notes:
        raise WarehouseBusy(looked.notes[0], hint="try again")
