"""Publishing: an environment's ref moves by one compare-and-set, and what readers see moves with it.

All that can fail is done first, unseen (``prepare``). Then the ref moves, and the journal says so in the same swap:
from here on the way is forward. Then each provider commits. A crash in between is carried forward by the next command;
a commit that *fails* takes the ref back, and all providers with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime

from anabranch.app import events
from anabranch.app.releasing import Handed, hand_over, settled
from anabranch.app.state import (
    AUDITED,
    CONTENT,
    OPEN,
    PHYSICAL,
    REF,
    VERIFIED,
    Physical,
    State,
    decode_audited,
    encode_audited,
    line,
)
from anabranch.domain.commit import Action, Commit, Environment, decode_environment, encode_environment
from anabranch.domain.content import Content
from anabranch.domain.ids import CommitId, SnapshotId, TreeId
from anabranch.domain.journal import Mark
from anabranch.domain.merge import Conflict, merge
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.plan import Plan
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.domain.tree import EMPTY, Change
from anabranch.errors import AnabranchError, StalePlan
from anabranch.ports.provider import Decide, Move, Provider, Shown, Swap, Takeover

EXACT = frozenset({Action.UNDO, Action.RESTORE, Action.DROP})
"""Actions that mean one very state: any movement makes their plans stale."""


@dataclass(frozen=True, slots=True)
class Published:
    """``commit`` is None where the environment is gone; equal to the old head where only pointers were repaired."""

    commit: CommitId | None
    moved: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Target:
    """An environment as it is (with the very cell that says so), and the tree that it shall have."""

    environment: Environment | None
    cell: bytes | None
    tree: TreeId


@dataclass(frozen=True, slots=True)
class _Moved:
    """What a swap does to a location: the generation that was current, and the cells before and after."""

    swap: Swap
    was: int
    shall: Content
    before: Mapping[str, bytes | None]
    after: Mapping[str, bytes | None]


class Publisher:
    """Moves environments."""

    def __init__(self, state: State, providers: Mapping[str, Provider], listen: events.Listener) -> None:
        self._state = state
        self._providers = providers
        self._listen = listen

    def result(self, plan: Plan) -> Target:
        """Where ``plan`` leads to from where the environment is now.

        Raises:
            StalePlan: what the plan read has changed, for an asset that it touches.
        """
        cell = self._state.store.read([REF + plan.environment]).get(REF + plan.environment)
        environment = decode_environment(cell) if cell else None
        head = environment.head if environment else None
        self._check_source(plan)
        if head == plan.requires.head:
            return Target(environment, cell, plan.tree)
        if environment is None or plan.requires.head is None or plan.action in EXACT:
            raise self._stale(plan, environment, ())
        now = self._state.commit(environment.head).tree
        merged = merge(self._state.trees, self._state.snapshots, plan.before, now, plan.tree)
        if merged.conflicts:
            raise self._stale(plan, environment, merged.conflicts)
        return Target(environment, cell, merged.tree)

    def _check_source(self, plan: Plan) -> None:
        if plan.requires.source is None:
            return
        name, read = plan.requires.source
        source = self._state.environment(name)
        if plan.action is Action.PROMOTE and (source is None or source.head != read):
            told = "is gone" if source is None else f"is now @ {source.head[:7]} ({self._who(source)})"
            raise StalePlan(
                f"{name} {told}; the plan read it @ {read[:7]}", hint="look at it again, then promote again"
            )

    def _who(self, environment: Environment) -> str:
        """Who moved it last, and when."""
        commit = self._state.commit(environment.head)
        return f"{commit.action.value} by {commit.author or 'somebody'} at {commit.at:%Y-%m-%d %H:%M:%S} UTC"

    def _stale(self, plan: Plan, environment: Environment | None, conflicts: Collection[Conflict]) -> StalePlan:
        name = plan.environment
        again = {
            Action.PROMOTE: f"anabranch promote {plan.requires.source[0] if plan.requires.source else ''}".strip(),
            Action.CREATE: f"anabranch env create {name}",
            Action.DROP: f"anabranch env drop {name}",
            Action.ADOPT: "anabranch adopt",
        }
        hint = f"plan again: {again.get(plan.action, f'anabranch {plan.action.value} {name}')}"
        if environment is None:
            return StalePlan(f"{name} was dropped since the plan was made", hint=hint)
        who = self._who(environment)
        if plan.requires.head is None:
            return StalePlan(f"{name} was made since the plan was made, for {environment.owner} ({who})", hint=hint)
        what = f": {', '.join(c.asset for c in list(conflicts)[:5])}" if conflicts else ""
        return StalePlan(f"{name} moved on to @ {environment.head[:7]} ({who}){what}", hint=hint)

    def publish(self, plan: Plan, now: datetime, swaps: Sequence[Swap] = ()) -> Published:
        """See the module's text. ``swaps``: generations that become visible with it.

        Raises:
            StalePlan: somebody was faster, with an asset that the plan touches.
        """
        while True:
            target = self.result(plan)
            moved = self._moved(swaps)
            handed = hand_over(self._state, plan)
            commit = self._commit(plan, target, now, {k: (m.was, m.shall.current) for k, m in moved.items()})
            published = self._try(plan, target, commit, moved, handed)
            if published is not None:
                return published

    def _moved(self, swaps: Sequence[Swap]) -> dict[str, _Moved]:
        """What swaps do, by location. Nobody else moves these: the plan holds them."""
        locations = [s.snapshot.location for s in swaps]
        contents = self._state.contents(locations)
        cells = self._state.store.read([prefix + k for prefix in (CONTENT, PHYSICAL, AUDITED) for k in locations])
        found: dict[str, _Moved] = {}
        for each in swaps:
            location = each.snapshot.location
            before = {key: cells.get(key) for key in (CONTENT + location, PHYSICAL + location)}
            after: dict[str, bytes | None] = {CONTENT + location: each.content.encode().encode()}
            cell = cells.get(PHYSICAL + location)
            if each.built is not None and cell is not None:
                after[PHYSICAL + location] = replace(Physical.decode(location, cell), built=each.built).encode()
            if each.audited:
                seen = cells.get(AUDITED + location)
                before[AUDITED + location] = seen
                kept = {
                    n: k for n, k in (decode_audited(seen) if seen else {}).items() if n in each.content.generations
                }
                after[AUDITED + location] = encode_audited({**kept, each.content.current: each.audited})
            found[location] = _Moved(each, contents[location].current, each.content, before, after)
        return found

    def _commit(
        self, plan: Plan, target: Target, now: datetime, refreshed: Mapping[str, tuple[int, int]]
    ) -> Commit | None:
        """None where the environment's state is one that there is a commit of."""
        if plan.settings is None:
            return None
        parents = (target.environment.head, *plan.parents[1:]) if target.environment else plan.parents
        if plan.action is Action.ADOPT and not parents:  # so that there is a state to go back to
            nothing = Commit(EMPTY, (), 1, plan.environment, Action.ADOPT, plan.author, now, "begin with nothing")
            self._state.keep((), [nothing])
            parents = (nothing.id,)
        before = self._state.commit(parents[0]).tree if parents else None
        if before == target.tree and plan.action is not Action.UNDO and len(parents) < 2 and not refreshed:
            return None
        height = 1 + max((c.height for c in self._state.commits(parents).values()), default=0)
        commit = Commit(
            target.tree,
            parents,
            height,
            plan.environment,
            plan.action,
            plan.author,
            now,
            plan.message,
            plan.id,
            plan.restores,
            refreshed,
        )
        self._state.keep((), [commit])
        return commit

    def _try(
        self,
        plan: Plan,
        target: Target,
        commit: Commit | None,
        moved: Mapping[str, _Moved],
        handed: Handed,
    ) -> Published | None:
        head: CommitId | None = None
        if plan.settings is not None:
            head = commit.id if commit else target.environment.head if target.environment else plan.parents[0]
        key, journal = REF + plan.environment, line(plan.id, None)
        settings = _settings(plan, target)
        will = encode_environment(settings.at(head)) if settings and head else None
        shall = Shown(head, target.tree) if head is not None else None
        began = time.perf_counter()
        with ExitStack() as stack:
            decide = {p.provider: self._decide(p.provider, lambda: shall, plan.repairs) for p in plan.points}
            swaps = {p: [m.swap for m in moved.values() if m.swap.snapshot.provider == p] for p in decide}
            taken = {p: [t for t in handed.takeovers if t.snapshot.provider == p] for p in decide}
            contexts = (self._providers[p].prepare(plan.environment, d, swaps[p], taken[p]) for p, d in decide.items())
            try:
                prepared = [stack.enter_context(context) for context in contexts]
            except AnabranchError:
                self._opened(plan)
                if self._state.store.read([key]).get(key) != target.cell:  # somebody was faster: it aimed at the past
                    return None
                raise
            write: dict[str, bytes | None] = {key: will, journal: Mark.PUBLISHED.value.encode()}
            if will is None:
                write[VERIFIED + plan.environment] = None
            expect = {key: target.cell, OPEN + plan.id: self._opened(plan)}
            for each in moved.values():
                write.update(each.after)
                expect.update(each.before)
            write.update(handed.after)
            expect.update(handed.before)
            if not self._state.store.swap(expect, write):
                return None
            try:
                for ready in prepared:
                    ready.commit()
            except Exception:  # the journal goes on saying "published": who showed it already must be set right
                back = {k: cell for each in moved.values() for k, cell in each.before.items()}
                self._state.store.swap({key: will}, {**back, **handed.back, key: target.cell})
                raise
        seconds = time.perf_counter() - began
        pointed = sum(p.moved for p in prepared)
        self._listen(events.Pointed(plan.environment, pointed, seconds, gone=will is None))
        return Published(head, pointed, seconds)

    def _opened(self, plan: Plan) -> bytes:
        """The journal's own cell: whoever was taken for dead and ended meanwhile publishes nothing, for what it built
        may be cleaned up by now."""
        cell = self._state.store.read([OPEN + plan.id]).get(OPEN + plan.id)
        if cell is None or self._state.holder.token.encode() not in cell:
            raise StalePlan(
                f"{plan.action.value} of {plan.environment} was taken for dead after a long silence, and ended",
                hint="run the command again: what was built is reused",
            )
        return cell

    def _decide(self, provider: str, shall: Callable[[], Shown | None], repairs: Collection[AssetName]) -> Decide:
        """What differs between what ``provider`` shows and what ``shall`` be, repairs included."""

        def decide(shown: Shown | None) -> Move:
            aim = shall()
            after = aim.tree if aim else EMPTY
            changes = self._changes(shown.tree if shown else EMPTY, after)
            touched = {c.asset for c in changes}
            for asset in repairs:
                snapshot = self._state.trees.get(after, asset)
                if asset not in touched and snapshot is not None:
                    changes.append(Change(asset, snapshot, snapshot))
            found = self._state.snapshots({i for c in changes for i in (c.before, c.after) if i is not None})
            own: dict[SnapshotId | None, Snapshot] = {i: s for i, s in found.items() if s.provider == provider}
            moves = {c.asset: (own.get(c.before), own.get(c.after)) for c in changes}
            return Move(aim, {asset: move for asset, move in moves.items() if move != (None, None)})

        return decide

    def _changes(self, before: TreeId, after: TreeId) -> list[Change]:
        try:
            changes = self._state.trees.diff(before, after)
            self._state.snapshots({c.before for c in changes if c.before is not None})
        except KeyError:  # the state was lost, the data wasn't: what is shown can't be known, so all of it is set anew
            return self._state.trees.diff(EMPTY, after)
        return changes

    def carry_forward(self, plan: Plan) -> None:
        """Makes the providers show what the ref of the plan's environment says, and hold what the store says of the
        generations: what an interrupted publication left undone."""
        moving = self._state.snapshots([s.snapshot for s in plan.moving]).values()
        contents = self._state.contents([s.location for s in moving])
        swaps = [Swap(s, contents[s.location]) for s in moving if s.location in contents]
        clones = self._clones(plan)
        for provider in sorted({p.provider for p in plan.points}):
            own = [s for s in swaps if s.snapshot.provider == provider]
            taken = [t for t in settled(self._state, plan) if t.snapshot.provider == provider]
            window = self._providers[provider].window  # elsewhere what is recorded says where they stand
            moves = {
                a: m for a, m in clones.items() if window and any(s is not None and s.provider == provider for s in m)
            }
            self._carry_forward(plan.environment, provider, own, taken, moves)

    def _clones(self, plan: Plan) -> dict[AssetName, tuple[Snapshot | None, Snapshot | None]]:
        """What a plan did to places of clones, before and after: as the environment is now, whether the plan was
        published or taken back. From the names alone, nobody could tell which clone stands there."""
        current = self._current(plan.environment)
        found: dict[AssetName, tuple[Snapshot | None, Snapshot | None]] = {}
        for decision in plan.decisions:
            before = decision.before if plan.requires.head is not None else None  # else it is another environment's
            sides = self._state.snapshots([i for i in (before, decision.after) if i is not None])
            if all(s.kind is not Kind.CLONE for s in sides.values()):
                continue
            now = self._state.trees.get(current.tree, decision.asset) if current is not None else None
            there = self._state.snapshots([now])[now] if now is not None else None
            other = next((sides[i] for i in (decision.after, before) if i is not None and i != now), None)
            if there is None or other is None or other.location != there.location:
                found[decision.asset] = other, there
        return found

    def _carry_forward(
        self,
        name: EnvironmentName,
        provider: str,
        swaps: Collection[Swap],
        taken: Collection[Takeover],
        clones: Mapping[AssetName, tuple[Snapshot | None, Snapshot | None]],
    ) -> None:
        decide = self._decide(provider, lambda: self._current(name), ())
        is_behind = False

        def look(shown: Shown | None) -> Move:
            nonlocal is_behind
            move = decide(shown)
            is_behind = shown != move.shown
            return replace(move, entries={**move.entries, **clones})

        with self._providers[provider].prepare(name, look, swaps, taken) as prepared:
            if is_behind or swaps or taken or clones:
                prepared.commit()

    def _current(self, name: EnvironmentName) -> Shown | None:
        environment = self._state.environment(name)
        return Shown(environment.head, self._state.commit(environment.head).tree) if environment else None


def _settings(plan: Plan, target: Target) -> Environment | None:
    """The environment's circumstances afterwards: as they are by now, with what the plan changes."""
    wanted, there = plan.settings, target.environment
    if wanted is None or there is None:
        return wanted
    return replace(
        there,
        branch=there.branch or wanted.branch,
        expires_at=wanted.expires_at if plan.action is Action.APPLY else there.expires_at,
        protected=wanted.protected if plan.action is Action.APPLY else there.protected,
    )
