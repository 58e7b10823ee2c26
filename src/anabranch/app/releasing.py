"""What becomes of the store as tables are adopted, and the way back.

An adopted table is given back, under its own name, by an undo or a restore to before its adoption: as long as the trunk
alone reads it. Whoever might begin to read it meanwhile has to open a journal first, and so is seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from anabranch.app.state import ADOPTED, AUDITED, CONTENT, JOURNALS, PHYSICAL, Physical, Stage, State
from anabranch.domain.commit import Action, Environment, history
from anabranch.domain.ids import CommitId, PlanId, StepId, TreeId
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.places import is_adopted, physical_location
from anabranch.domain.plan import Plan, Release
from anabranch.domain.snapshot import HISTORY, INCREMENTAL, REFRESHED, Kind, Snapshot
from anabranch.errors import Refused, StalePlan
from anabranch.ports.provider import Built, Takeover


class Releasing:
    """Plans the way back."""

    def __init__(self, state: State) -> None:
        self._state = state

    def steps(
        self, environment: Environment, to: CommitId, before: TreeId, after: Mapping[AssetName, Snapshot]
    ) -> list[Release]:
        """The steps that give tables back which ``environment`` has adopted since ``to``. ``before``: its tree as it
        is; ``after``: what it shall have.

        Raises:
            Refused: another environment reads such a table, or it is gone.
        """
        sources = {a for a, s in after.items() if s.kind is Kind.EXTERNAL}
        adopted = {a: s for a, s in self._since(environment, to).items() if a not in after or a in sources}
        cells = self._state.physical([s.location for s in adopted.values()])
        found: list[Release] = []
        for asset, snapshot in sorted(adopted.items()):
            cell = cells.get(snapshot.location)
            if cell is not None and cell.stage is Stage.BUILT:
                require_alone(self._state, environment.name, snapshot, None)
                identifier = StepId(f"release:{asset}")
                found.append(Release(identifier, snapshot.provider, asset, snapshot.id))
            elif self._state.trees.get(before, asset) is not None:
                raise Refused(
                    f"the table that was adopted as {asset} has been cleaned up since, and can't be given back",
                    asset=asset,
                    hint=f"to part with it all the same, take its file away: anabranch apply {environment.name}",
                )
        return found

    def _since(self, environment: Environment, to: CommitId) -> dict[AssetName, Snapshot]:
        """What was adopted after ``to``: the last of each."""
        found: dict[AssetName, Snapshot] = {}
        for identifier, commit in history(self._state.commits, environment.head):
            if identifier == to or commit.environment != environment.name:
                break
            if commit.action is not Action.ADOPT or not commit.parents:
                continue
            changes = self._state.trees.diff(self._state.commit(commit.parents[0]).tree, commit.tree)
            snapshots = self._state.snapshots([c.after for c in changes if c.after is not None])
            for snapshot in snapshots.values():
                if snapshot.kind in REFRESHED and is_adopted(snapshot.location):
                    found.setdefault(snapshot.asset, snapshot)
        return found


@dataclass(frozen=True, slots=True)
class Handed:
    """Takeovers, with the store's cells that must be as in ``before``, and become as in ``after``."""

    takeovers: tuple[Takeover, ...] = ()
    before: Mapping[str, bytes | None] = field(default_factory=dict)
    after: Mapping[str, bytes | None] = field(default_factory=dict)

    @property
    def back(self) -> dict[str, bytes | None]:
        """What takes ``after`` back."""
        return {key: self.before[key] for key in self.after}


def takeovers(state: State, plan: Plan) -> list[Takeover]:
    """What a plan takes over and gives back."""
    snapshots = state.snapshots([s.snapshot for s in plan.adoptions])
    return [
        Takeover(snapshots[s.snapshot], back=True)
        if isinstance(s, Release)
        else Takeover(snapshots[s.snapshot], Built(s.rows, s.columns, content=s.content))
        for s in plan.adoptions
    ]


def settled(state: State, plan: Plan) -> list[Takeover]:
    """What makes the tables that a plan touches stand where the store says by now that they do, whether the plan was
    published or taken back. What they are is no longer asked."""
    found = {s.location: s for s in state.snapshots([s.snapshot for s in plan.adoptions]).values()}
    cells = state.physical(found)
    contents = state.contents([k for k, s in found.items() if s.kind in INCREMENTAL | HISTORY])
    return [
        Takeover(s, Built(content=contents.get(location)), back=location not in cells)
        for location, s in found.items()
        if location not in cells or cells[location].stage is Stage.BUILT
    ]


def hand_over(state: State, plan: Plan) -> Handed:
    """What publishing ``plan`` does to the store besides: an adopted table is built, one that was given back isn't.

    Raises:
        StalePlan: a table that is to be given back has been cleaned up since.
        Refused: another environment reads it.
    """
    found = takeovers(state, plan)
    if not found:
        return Handed()
    journals = state.store.read([JOURNALS]).get(JOURNALS)
    before: dict[str, bytes | None] = {}
    after: dict[str, bytes | None] = {}
    now = state.store.now()
    for each in found:
        snapshot, location = each.snapshot, each.snapshot.location
        usual = physical_location(snapshot.asset, snapshot.fingerprint)
        keys = [PHYSICAL + location, CONTENT + location, ADOPTED + usual, AUDITED + location]
        cells = state.store.read(keys)
        before.update({key: cells.get(key) for key in keys})
        if each.back:
            cell = cells.get(keys[0])
            if cell is None or Physical.decode(location, cell).stage is not Stage.BUILT:
                raise StalePlan(f"{location} was cleaned up since the plan was made", hint="plan again")
            require_alone(state, plan.environment, snapshot, plan.id)
            before[JOURNALS] = journals  # nobody has begun to use it since it was looked for
            after.update(dict.fromkeys(keys))
            continue
        built = Physical(location, snapshot.id, Stage.BUILT, built=each.built, at=now).encode()
        content = each.built.content
        values = [built, content.encode().encode() if content is not None else None, location.encode(), None]
        after.update(dict(zip(keys, values, strict=True)))
    return Handed(tuple(found), before, after)


def require_alone(state: State, name: EnvironmentName, snapshot: Snapshot, plan: PlanId | None) -> None:
    """Raises ``Refused`` where another environment, or a plan under way but ``plan``, has an adopted table."""
    trees = {  # before the refs: what is published in between is then seen here or there
        f"{o.plan.action.value} of {o.plan.environment}, which is under way,": o.plan.tree
        for i, o in state.open_plans().items()
        if i != plan
    }
    for other, environment in state.environments().items():
        if other != name:
            trees[other] = state.commit(environment.head).tree
    for who, tree in trees.items():
        identifier = state.trees.get(tree, snapshot.asset)
        if identifier is None:
            continue
        if state.snapshots([identifier])[identifier].location == snapshot.location:
            raise Refused(
                f"{who} reads the table that was adopted as {snapshot.asset}, so it can't be given back",
                asset=snapshot.asset,
                hint="drop that environment first (anabranch env drop), or change the model there",
            )
