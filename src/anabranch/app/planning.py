"""Which state each use case aims at. :mod:`anabranch.app.drafting` makes the plan that leads there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from anabranch.app.clone_merging import Again
from anabranch.app.clones import CloneKeeper
from anabranch.app.cutoff import resolve
from anabranch.app.drafting import Aim, Drafter
from anabranch.app.drift import Inspection, Inspector
from anabranch.app.restating import Restatement, check_restated, check_selected
from anabranch.app.selecting import narrow
from anabranch.app.state import State
from anabranch.domain import restated
from anabranch.domain.commit import Action, Environment, history, merge_base, undo_target
from anabranch.domain.ids import CommitId, SnapshotId, TreeId, canonical, digest
from anabranch.domain.intervals import Span
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.plan import Plan, Reason
from anabranch.domain.snapshot import Snapshot
from anabranch.domain.tree import EMPTY, Change
from anabranch.errors import NotFound, Refused
from anabranch.ports.loader import Project

LOOK_BACK = 20
"""Commits of the trunk that a plan is compared with, to tell an old checkout."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The circumstances of an environment that is about to be made."""

    branch: str | None = None
    owner: str = ""
    expires_at: datetime | None = None
    protected: bool = False


_TELL = 3
"""So many models are named in a note; the rest is counted."""


_MARK = 16
"""Hex digits."""


class Planning:
    """Makes plans; changes nothing."""

    def __init__(
        self,
        state: State,
        drafter: Drafter,
        inspector: Inspector,
        *,
        trunk: EnvironmentName,
        clones: CloneKeeper,
    ) -> None:
        self._state = state
        self._clones = clones
        self._trunk = trunk
        self._inspector = inspector
        self._drafter = drafter

    # -- one for each use case -------------------------------------------------------------------------------------
    def apply(
        self,
        name: EnvironmentName,
        project: Project,
        setting: Setting,
        now: datetime,
        *,
        again: Again,
        merged: bool = False,
        explain: bool = False,
        window: Span | None = None,
        chosen: Collection[AssetName] | None = None,
    ) -> Plan:
        """The environment shall be what the project's files say.

        ``merged``: the user says that the trunk's changes are in these files, so that what both sides changed is
        resolved as it stands in them. With ``explain``, changed definitions are compared. ``window``: models with
        intervals are built for this part of their time only; a promotion, or a run, completes them. ``again``: the
        loader's, for definitions that were fingerprinted by other rules.
        ``chosen``: only these assets change.

        Raises:
            Refused: ``merged``, but a file is as it was before the trunk changed it; or ``chosen`` lacks something.
        """
        there = self._state.environment(name)
        start = there or (self._state.environment(self._trunk) if name != self._trunk else None)
        assets = resolve(self._state, {s.asset: s for s in self._state.placed(project.assets.values())})
        known = self._state.learn(assets.values())
        same = self._upgraded(start, known, project.rules, again) if start is not None else {}
        if same:
            known = self._state.learn(replace(s, location=same.get(s.location, s.location)) for s in assets.values())
        after = self._state.trees.build({s.asset: i for i, s in known.items()})
        if there is not None:
            before = self._tree(there)
            expires_at = max(filter(None, (there.expires_at, setting.expires_at)), default=None)
            settings = replace(
                there, branch=there.branch or setting.branch, expires_at=expires_at, protected=setting.protected
            )
            head: CommitId | None = there.head
            parents: tuple[CommitId, ...] = (there.head,)
            source = None
            if merged:
                parents = (there.head, *self._taken_in(there, after))
        else:
            base = self._state.environment(self._trunk) if name != self._trunk else None
            before = self._tree(base) if base else EMPTY
            parents = (base.head,) if base else ()
            settings = self._new(name, base, setting, now)
            head, source = None, (base.name, base.head) if base else None
        left: tuple[str, ...] = ()
        if chosen is not None:
            after, left = narrow(self._state, before, after, chosen)
        notes = project.notes + self._goes_back(name, there, after) + left
        if explain:
            notes += _whole(project)
        return self._drafter.draft(
            Aim(
                Action.APPLY, name, head, before, after, parents, settings,
                source=source, notes=notes, inspection=self._inspect(there), explain=explain, window=window, same=same,
            )
        )  # fmt: skip

    def _upgraded(
        self, start: Environment, known: Mapping[SnapshotId, Snapshot], rules: str, again: Again
    ) -> dict[str, str]:
        """Where data stands that was built by other rules from what is the same by the present ones: of each such
        asset, the location that it would have, and that which it has."""
        entries = self._state.trees.entries(self._tree(start))
        assets = {s.asset: s for i, s in known.items() if entries.get(s.asset, i) != i}
        before = self._state.snapshots([entries[a] for a in assets])
        moved = [a for a, s in assets.items() if before[entries[a]].location != s.location and s.is_physical]
        if not any(before[entries[a]].definition.rules != rules for a in moved):
            return {}
        before = self._state.snapshots(list(entries.values()))
        there = {a: before[i] for a, i in entries.items()}
        anew = again(there)
        equal = [a for a in moved if a in anew and anew[a].fingerprint == assets[a].fingerprint]
        built = self._state.built([there[a].location for a in equal])
        return {assets[a].location: there[a].location for a in equal if there[a].location in built}

    def _taken_in(self, environment: Environment, after: TreeId) -> tuple[CommitId, ...]:
        """The trunk's head, whose changes ``after`` is said to contain; nothing where there are none."""
        trunk = self._state.require(self._trunk)
        base = merge_base(self._state.commits, environment.head, trunk.head)
        if base == trunk.head:
            return ()
        changes = self._state.trees.diff(self._state.commit(base).tree if base else EMPTY, self._tree(trunk))
        here = {c.asset: self._state.trees.get(after, c.asset) for c in changes}
        ids = {i for c in changes for i in (c.before, c.after, here[c.asset]) if i is not None}
        found = self._state.snapshots(ids)
        for change in changes:
            was, now, mine = (found[i].logic if i else None for i in (change.before, change.after, here[change.asset]))
            if mine == was != now:
                raise Refused(
                    f"{change.asset} is as it was before {trunk.name} changed it:"
                    f" these files lack {trunk.name}'s changes",
                    hint="git merge main, then again",
                    asset=change.asset,
                )
        return (trunk.head,)

    def restate(
        self,
        environment: Environment,
        restate: Restatement,
        now: datetime,
        *,
        again: Again,
        only: Collection[AssetName] | None = None,
    ) -> Plan:
        """What ``restate`` names is computed again in this environment alone: the data that others have too stays, and
        the environment gets its own.

        Raises:
            Refused: it can't be computed again; or definitions can't be read by the present rules.
        """
        tree = self._tree(environment)
        entries = self._state.trees.entries(tree)
        found = self._state.snapshots(list(entries.values()))
        there = {a: found[i] for a, i in entries.items()}
        check_selected(restate, only)
        check_restated(restate, there, self._state.contents([there[a].location for a in restate.assets]), now)
        mark = digest(canonical([environment.name, environment.head, sorted(restate.assets)]))[:_MARK]
        marked = {
            a: replace(s, properties={**s.properties, restated.PROPERTY: mark}) if a in restate.assets else s
            for a, s in there.items()
        }
        plain, anew = again(there), again(marked)
        moved = {
            a: restated.over(there[a], s)
            for a, s in anew.items()
            if a in plain and plain[a].fingerprint != s.fingerprint
        }
        if not moved:
            raise Refused(
                "the definitions can't be read by the present version",
                hint=f"first: anabranch apply {environment.name}",
            )
        self._state.learn(moved.values())
        changes = [Change(a, there[a].id, s.id) for a, s in sorted(moved.items())]
        return self._drafter.draft(
            Aim(
                Action.APPLY, environment.name, environment.head, tree, self._state.trees.patch(tree, changes),
                (environment.head,), environment, message="restate " + ", ".join(sorted(restate.assets)),
                inspection=self._inspect(environment), restates=restate,
            )
        )  # fmt: skip

    def create(
        self,
        name: EnvironmentName,
        base: Environment,
        setting: Setting,
        now: datetime,
        *,
        again: Again,
        past: datetime | None = None,
    ) -> Plan:
        """A new environment that begins as ``base`` is, but for clones, which are its own; ``past``: of their sources
        as they were then. Raises ``Refused`` where it exists."""
        if self._state.environment(name) is not None:
            raise Refused(f"{name} exists already", hint=f"anabranch env show {name}")
        tree = self._tree(base)
        after = self._over(tree, self._clones.first(name, base, now, past), again)
        settings = self._new(name, base, setting, now)
        return self._drafter.draft(
            Aim(Action.CREATE, name, None, tree, after, (base.head,), settings, source=(base.name, base.head))
        )

    def clone(
        self,
        environment: Environment,
        tables: Collection[str],
        now: datetime,
        *,
        again: Again,
        past: datetime | None = None,
        reset: bool = False,
    ) -> Plan:
        """The environment gets clones of sources, of the present or of the ``past``; or (``reset``) gives them up.

        Raises:
            NotFound: there is no such source.
            Refused: it is the trunk; a table is no source; there is no clone to give up.
        """
        if environment.name == self._trunk:
            raise Refused(
                f"{environment.name} reads the sources themselves: it has no clones",
                hint="name another environment: anabranch clone TABLE -e ENV",
            )
        tree = self._tree(environment)
        wanted = self._clones.anew(environment, self._there(tree), tables, now, past=past, reset=reset)
        message = f"{'give up the clone of' if reset else 'clone'} {', '.join(sorted(wanted))}"
        return self._drafter.draft(
            Aim(
                Action.CLONE, environment.name, environment.head, tree, self._over(tree, wanted, again),
                (environment.head,), environment, message=message, inspection=self._inspect(environment),
            )
        )  # fmt: skip

    def _there(self, tree: TreeId) -> dict[AssetName, Snapshot]:
        entries = self._state.trees.entries(tree)
        found = self._state.snapshots(list(entries.values()))
        return {a: found[i] for a, i in entries.items()}

    def _over(self, tree: TreeId, wanted: Mapping[AssetName, Snapshot], again: Again) -> TreeId:
        """``tree``, with sources (and clones) as ``wanted``, and what reads them over these. Raises ``Refused`` where
        definitions can't be read by the present rules."""
        found = dict(wanted)
        mark = restated.PROPERTY
        before = {a: i for a in wanted if (i := self._state.trees.get(tree, a)) is not None}
        there = {s.asset: s for s in self._state.snapshots(list(before.values())).values()}
        if any(s.properties.get(mark) != there[a].properties.get(mark) for a, s in found.items()):
            there = self._there(tree)
            plain, anew = again(there), again({**there, **wanted})
            if not anew or not plain:
                raise Refused(
                    "the definitions can't be read by the present version",
                    hint=f"first bring them up to date: anabranch apply {self._trunk}",
                )
            moved = {a: s for a, s in anew.items() if plain[a].fingerprint != s.fingerprint and a not in wanted}
            readers = {a: restated.over(there[a], s) for a, s in moved.items()}
            found = {
                a: replace(s, fingerprint=anew[a].fingerprint, published=anew[a].published) for a, s in wanted.items()
            }
            found.update(resolve(self._state, {s.asset: s for s in self._state.placed(readers.values())}))
        self._state.learn(found.values())
        changes = [Change(a, there[a].id, s.id) for a, s in sorted(found.items()) if there[a].id != s.id]
        return self._state.trees.patch(tree, changes)

    def drop(self, environment: Environment) -> Plan:
        """Raises ``Refused`` for a protected one."""
        if environment.protected:
            raise Refused(f"{environment.name} is protected", hint="it is never dropped")
        tree = self._tree(environment)
        return self._drafter.draft(
            Aim(Action.DROP, environment.name, environment.head, tree, EMPTY, (environment.head,), None, check=False)
        )

    def undo(self, environment: Environment) -> Plan:
        """Raises ``Refused`` where there is nothing to take back."""
        target = undo_target(self._state.commits, environment)
        if target is None:
            raise Refused(f"there is nothing to undo in {environment.name}", hint=f"anabranch log {environment.name}")
        undone, restored = target
        commit = self._state.commit(undone)
        message = f"undo {undone[:7]}" + (f" ({commit.message})" if commit.message else "")
        return self._return(Action.UNDO, environment, restored, message)

    def restore(self, environment: Environment, commit: CommitId) -> Plan:
        """The environment shall be as it was at ``commit``."""
        return self._return(Action.RESTORE, environment, commit, f"restore {commit[:7]}")

    def find_commit(self, environment: Environment, prefix: str) -> CommitId:
        """The commit in an environment's history that ``prefix`` begins. Raises ``NotFound``."""
        found = [i for i, _ in history(self._state.commits, environment.head) if prefix and i.startswith(prefix)]
        if len(found) != 1:
            what = "is not unique" if found else "is not"
            raise NotFound(
                f"{prefix!r} {what} in the history of {environment.name}", hint=f"anabranch log {environment.name}"
            )
        return found[0]

    def _return(self, action: Action, environment: Environment, to: CommitId, message: str) -> Plan:
        before, after = self._tree(environment), self._state.commit(to).tree
        return self._drafter.draft(
            Aim(
                action, environment.name, environment.head, before, after, (environment.head,), environment,
                message=message, restores=to, reason=Reason.RESTORED, inspection=self._inspect(environment),
            )
        )  # fmt: skip

    # -- what they share -------------------------------------------------------------------------------------------
    def _goes_back(self, name: EnvironmentName, there: Environment | None, after: TreeId) -> tuple[str, ...]:
        """Warns of assets that the files have as the trunk had them before: an old checkout, most likely, which would
        take back what was promoted since."""
        trunk = self._state.environment(self._trunk)
        if trunk is None:
            return ()
        start = trunk.head
        if there is not None and name != trunk.name:
            start = merge_base(self._state.commits, there.head, trunk.head) or trunk.head
        gone = {c.asset: c.after for c in self._state.trees.diff(self._state.commit(start).tree, after)}
        for _, commit in islice(history(self._state.commits, start), LOOK_BACK if gone else 0):
            if not commit.parents:
                break
            for change in self._state.trees.diff(self._state.commit(commit.parents[0]).tree, commit.tree):
                if gone.get(change.asset, commit) == change.before:
                    what = commit.message or commit.action.value
                    told = f"{change.asset} goes back to what it was before {what!r} ({commit.at:%Y-%m-%d %H:%M} UTC"
                    return (f"{told}, {commit.author}): are these files older than that?",)
        return ()

    def _new(self, name: EnvironmentName, base: Environment | None, setting: Setting, now: datetime) -> Environment:
        no_head = CommitId(EMPTY)  # publishing sets it
        return Environment(
            name,
            no_head,
            base.name if base else None,
            base.head if base else None,
            setting.branch,
            setting.owner,
            now,
            setting.expires_at,
            setting.protected,
        )

    def _inspect(self, environment: Environment | None) -> Inspection:
        return self._inspector.inspect(environment) if environment is not None else Inspection()

    def _tree(self, environment: Environment) -> TreeId:
        return self._state.commit(environment.head).tree


def _whole(project: Project) -> tuple[str, ...]:
    """Which models any change upstream builds, and why."""
    found = [f"{asset} ({reason})" for asset, reason in sorted(project.unanalysed.items())]
    if not found:
        return ()
    more = len(found) - _TELL
    told = "; ".join(found[:_TELL]) + (f"; and {more} more" if more > 0 else "")
    return (f"built by any change of what they read, for their columns can't be told apart: {told}",)
