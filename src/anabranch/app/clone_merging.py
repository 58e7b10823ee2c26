"""Merging clones: what was written to an environment's clones gets into their sources with the promotion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from anabranch.app.state import State
from anabranch.domain import restated, sizes
from anabranch.domain.clones import mark_of, merged_mark
from anabranch.domain.commit import Environment
from anabranch.domain.content import Content, first
from anabranch.domain.ids import SnapshotId, StepId, TreeId
from anabranch.domain.merge import Cause, Conflict
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.plan import Merge
from anabranch.domain.restated import PROPERTY
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.domain.tree import Change
from anabranch.errors import MergeConflict, Refused, StalePlan
from anabranch.ports.clones import Clones, Merging
from anabranch.ports.provider import Built, Provider, Refreshes, Staged

Again = Callable[[Mapping[AssetName, Snapshot]], Mapping[AssetName, Snapshot]]
"""As of :meth:`anabranch.ports.loader.Loader.again`."""


@dataclass(frozen=True, slots=True)
class Told:
    """A step, and what it comes to, as a phrase."""

    step: Merge
    phrase: str


class CloneMerging:
    """Plans it, and carries it out unseen."""

    def __init__(self, state: State, providers: Mapping[str, Provider]) -> None:
        self._state = state
        self._providers = providers

    def steps(
        self, environment: Environment, clones: Mapping[AssetName, Snapshot], changes: Mapping[AssetName, Change]
    ) -> tuple[Told, ...]:
        """What merges ``clones`` of ``environment``. ``changes``: what becomes of their sources.

        Raises:
            Refused: one can't be merged.
            MergeConflict: rows were written to on both sides.
        """
        found: list[Told] = []
        weighed = {a: self._weigh(s) for a, s in sorted(clones.items())}
        for asset, each in weighed.items():
            if each.why:
                raise Refused(f"the clone of {asset} in {environment.name} can't be merged: {each.why}", asset=asset,
                              hint=each.hint)  # fmt: skip
        conflicts = {a: m for a, m in weighed.items() if m.conflicts}
        if conflicts:
            sides = {a: (m, changes[a].before, changes[a].after) for a, m in conflicts.items()}
            raise conflict(environment.name, sides)
        for asset, each in weighed.items():
            change, clone = changes[asset], clones[asset]
            assert change.after is not None
            step = Merge(StepId(f"merge:{asset}"), clone.provider, asset, change.after, clone.id, self._content(clone))
            found.append(Told(step, phrase(each)))
        return tuple(found)

    def over_sources(
        self, tree: TreeId, clones: Mapping[AssetName, Snapshot], again: Again
    ) -> tuple[TreeId, dict[str, str]]:
        """``tree``, in which sources stand for ``clones``, with these written into them: all that was built over a
        clone is another asset then, over the source, whose data stands where it was built (of each location: which).
        Views are made again, for those that are there read the clone. Raises ``Refused`` where definitions can't be
        read by the present rules.
        """
        entries = self._state.trees.entries(tree)
        snapshots = self._state.snapshots(list(entries.values()))
        there = {a: snapshots[i] for a, i in entries.items()}
        wanted = {a: _written(there[a]) for a in clones}
        plain, anew = again(there), again({**there, **wanted})
        if not plain or not anew:
            raise Refused(
                "the definitions can't be read by the present version",
                hint="first bring the environment up to date: anabranch apply",
            )
        found: dict[AssetName, Snapshot] = {}
        same: dict[str, str] = {}
        for asset, each in anew.items():
            if asset in wanted:
                found[asset] = replace(wanted[asset], fingerprint=each.fingerprint, published=each.published)
            elif plain[asset].fingerprint != each.fingerprint:
                found[asset] = restated.over(there[asset], each)
                if found[asset].is_physical and found[asset].kind is not Kind.VIEW:
                    same[each.location] = there[asset].location
                    found[asset] = replace(found[asset], location=there[asset].location)
        self._state.learn(found.values())
        changes = [Change(a, entries[a], s.id) for a, s in sorted(found.items()) if s.id != entries[a]]
        return self._state.trees.patch(tree, changes), same

    def _weigh(self, clone: Snapshot) -> Merging:
        provider = cast(Clones, self._providers[clone.provider])
        try:
            return provider.weigh_merge(clone, self._made(clone))
        finally:
            provider.close()

    def _made(self, clone: Snapshot) -> Built:
        """What was found of a clone when it was made."""
        return self._state.built([clone.location]).get(clone.location, Built())

    def _content(self, clone: Snapshot) -> Content:
        """What is known of the generations of a clone's source: by the store, else by the record beside the data."""
        location = str(clone.asset)
        known = self._state.contents([location]).get(location)
        if known is None:
            provider = cast(Refreshes, self._providers[clone.provider])
            try:
                known = provider.contents([location]).get(location)
            finally:
                provider.close()
        return known or first((), 0.0)

    def stage(self, step: Merge, source: Snapshot, clone: Snapshot, content: Content, now: int) -> Staged:
        """Computes what the source shall hold.

        Raises:
            StalePlan: the clone was written to since.
            Refused: the source was, and it can't be merged any more.
        """
        provider, made = cast(Clones, self._providers[step.provider]), self._made(clone)
        staged = provider.stage_merge(source, clone, made, content, now)
        token = provider.tokens([clone]).get(clone.location, "")
        if mark_of(clone, token, made.token) != clone.properties.get(PROPERTY):
            raise StalePlan(
                f"the clone of {step.asset} was written to since the plan was made",
                hint="bring its environment up to date, then promote again",
                asset=step.asset,
            )
        return staged

    def made(self, clone: Snapshot) -> tuple[Snapshot, Built]:
        """A clone, with what was found of it when it was made."""
        return clone, self._made(clone)


def _written(source: Snapshot) -> Snapshot:
    """A source into which the clone is written whose mark it has."""
    return replace(source, properties={**source.properties, PROPERTY: merged_mark(source.properties[PROPERTY])})


def conflict(
    name: EnvironmentName, found: Mapping[AssetName, tuple[Merging, SnapshotId | None, SnapshotId | None]]
) -> MergeConflict:
    """Rows were written to in clones of ``name``, and in their sources. Of each: what there is, before and after."""
    told = [
        Conflict(a, before, before, after, Cause.ROWS_CHANGED, rows=m.samples)
        for a, (m, before, after) in found.items()
    ]
    asset, (first_one, _, _) = next(iter(found.items()))
    rows = "1 row" if first_one.conflicts == 1 else f"{first_one.conflicts:,} rows"
    more = f", and others in {', '.join(list(found)[1:])}" if len(found) > 1 else ""
    return MergeConflict(
        f"{rows} of {asset} {'was' if first_one.conflicts == 1 else 'were'} written to in {name}"
        f" and, otherwise, in {asset} itself{more}",
        told,
        hint=f"look at both, and write to the clone what {asset} has there, or shall have there on both sides",
    )


def phrase(merging: Merging) -> str:
    """``by id: 2 rows changed, 1 added``; ``as a whole``."""
    size = merging.size
    copied = "" if size == 0 else ", its rows copied" if size is None else f", {sizes.told(size)} copied"
    if not merging.keys:
        return f"the clone takes its place, for nobody has written to it since{copied}"
    return counted(merging) + copied


def counted(merging: Merging) -> str:
    """Of rows that are told apart by keys: ``by id: 2 rows changed, 1 added``."""
    numbers = ((merging.changed, "changed"), (merging.added, "added"), (merging.removed, "removed"))
    told = [f"{n:,} {what}" for n, what in numbers if n]
    return f"by {', '.join(merging.keys)}: {', '.join(told) or 'no row'}"
