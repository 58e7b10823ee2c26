"""What readers see: the views of each environment, and the record of which commit they show."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from anabranch.domain.ids import CommitId, ObjectId, TreeId
from anabranch.domain.names import OWN_PREFIX, SEPARATOR, AssetName, EnvironmentName
from anabranch.domain.places import Suffix, shown_location
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.errors import (
    AnabranchError,
    Refused,
    StatementFailed,
)
from anabranch.ports.capabilities import Capability, Support
from anabranch.ports.engine import Engine, Relation, Session, name
from anabranch.ports.provider import (
    Move,
    Shown,
)
from anabranch.providers import cloning
from anabranch.providers.ledger import Ledger
from anabranch.providers.making import put_in
from anabranch.providers.standing import check_free, relation, why_not

FEW = 3
"""Views that are made one by one as fast as their schema is looked at and cloned."""
_RECORD = Relation(OWN_PREFIX, "environments")


class Showing:
    """The views of all environments in one warehouse. ``tell`` gives an error what it is about; at most ``connections``
    sessions are open at once."""

    def __init__(
        self,
        engine: Engine,
        trunk: EnvironmentName,
        suffix: Suffix,
        tell: Callable[[AnabranchError, Snapshot], None],
        connections: int,
        open_session: Callable[[], AbstractContextManager[Session]],
    ) -> None:
        self._engine = engine
        self._trunk = trunk
        self._suffix = suffix
        self._tell = tell
        self._connections = connections
        self._open_session = open_session

    def at(self, environment: EnvironmentName, asset: AssetName) -> Relation:
        """Where readers find ``asset`` in ``environment``."""
        return relation(shown_location(asset, None if environment == self._trunk else environment, self._suffix))

    def pointer(
        self, environment: EnvironmentName, asset: AssetName, snapshot: Snapshot | None
    ) -> tuple[AssetName, Relation, Relation] | None:
        """``(asset, view, what it selects from)``; None where there is to be no view: nothing at all, an embedded
        model, a clone, and a source under its own name."""
        if snapshot is None or snapshot.kind in (Kind.EMBEDDED, Kind.CLONE):
            return None
        place, target = self.at(environment, asset), relation(snapshot.location)
        return None if place == target else (asset, place, target)

    def check_names(self, session: Session, environment: EnvironmentName, fresh: Collection[AssetName]) -> None:
        """An asset named as if it lay in an environment would stand where that environment shows another."""
        names = sorted({environment, *self.recorded(session)} - {self._trunk})
        for asset in sorted(fresh):
            schema, name = asset.split(".")[-2:]
            part = schema if self._suffix is Suffix.SCHEMA else name
            for other in names:
                if part.endswith(f"{SEPARATOR}{other}"):
                    raise Refused(
                        f"{asset} is named like what environment {other} shows: {part} ends in {SEPARATOR}{other}",
                        hint="rename the asset, or choose another environment's name",
                        asset=asset,
                    )

    def check(
        self, session: Session, environment: EnvironmentName, move: Move, taken: Collection[AssetName] = ()
    ) -> None:
        """Raises what :meth:`move` would, as far as it can be known before it; ``taken``: those whose place is made
        free meanwhile."""
        _, fresh = self._pointers(environment, move)
        fresh = {place: shown for place, shown in fresh.items() if shown[0] not in taken}
        for each in self._turns(environment, move):
            is_new = each.new is not None and move.entries[each.asset][0] is None
            if is_new and each.new is not None and not cloning.is_shown(session, each.place, each.new):
                fresh[each.place] = each.asset, each.new
        self.check_names(session, environment, [asset for asset, _ in fresh.values()])
        check_free(session, fresh)

    def _turns(self, environment: EnvironmentName, move: Move) -> list[cloning.Turn]:
        """Clones that come and go."""
        return cloning.turns(move.entries, {a: self.at(environment, a) for a in move.entries})

    def _pointers(
        self, environment: EnvironmentName, move: Move
    ) -> tuple[dict[Relation, Relation | None], dict[Relation, tuple[AssetName, Relation]]]:
        """All that are set or dropped, and of those the new ones with what they show."""
        pointers: dict[Relation, Relation | None] = {}
        fresh: dict[Relation, tuple[AssetName, Relation]] = {}
        for asset, (before, after) in move.entries.items():
            old = self.pointer(environment, asset, before)
            new = self.pointer(environment, asset, after)
            if old == new and before != after:  # another definition of the same data; a repair has the same twice
                continue
            if old is not None and (after is None or after.kind is not Kind.CLONE):  # which takes the place itself
                pointers[old[1]] = None
            if new is not None:
                pointers[new[1]] = new[2]
                if old is None and (before is None or before.kind is not Kind.CLONE):
                    fresh[new[1]] = asset, new[2]
        return pointers, fresh

    def move(self, session: Session, environment: EnvironmentName, move: Move) -> int:
        """Sets, moves and removes views within the session's transaction, and records it; how many."""
        self.check(session, environment, move)
        pointers, _ = self._pointers(environment, move)
        schemas = {p.schema for p, target in pointers.items() if target is not None}
        turns = self._turns(environment, move)
        if not session.transacts:
            self._clone_schemas(session, environment, schemas)
        session.create_schemas(schemas)
        for each in turns:
            each.leave(session)
        try:
            self.point(session, pointers if session.transacts else self._wrong(session, environment, pointers))
            self._come(session, turns)
        except StatementFailed as failure:
            session.rollback()
            raise why_not(session, {**pointers, **{t.place: t.new for t in turns if t.new}}, failure) from failure
        for asset, (_, after) in sorted(move.entries.items()):
            if after is not None:
                self._shown(session, environment, asset, after)
        dropped = {p.schema for p, target in pointers.items() if target is None}
        if dropped and environment != self._trunk and self._suffix is Suffix.SCHEMA:
            session.drop_schemas(dropped)
        shown = move.shown
        self._ledger(session).put(environment, None if shown is None else [shown.commit, shown.tree])
        return len(pointers) + len(turns)

    def _come(self, session: Session, turns: Collection[cloning.Turn]) -> None:
        """Shows clones. What is granted on the views that they take the place of is granted on them."""
        has_grants = self._engine.capabilities.get(Capability.GRANTS) is Support.FULL
        kept = session.grants([t.place for t in turns if t.new is not None]) if has_grants and turns else {}
        for each in turns:
            each.come(session)
            if kept.get(each.place):
                session.grant(each.place, kept[each.place])

    def _clone_schemas(self, session: Session, environment: EnvironmentName, schemas: Collection[str]) -> None:
        """Begins a new environment's schemas as those of another one, by a statement for each where the engine has one:
        most of their views stand where they should then. Only schemas that have nothing but pointers are cloned."""
        able = self._engine.capabilities.get(Capability.CLONE_SCHEMA) is Support.FULL
        missing = sorted(set(schemas) - set(session.schemas())) if able and self._suffix is Suffix.SCHEMA else []
        end = f"{SEPARATOR}{environment}"
        for schema in missing:
            stem = schema.removesuffix(end)
            others = [self._trunk, *sorted(set(self.recorded(session)) - {self._trunk, environment})]
            for other in [stem if o == self._trunk else f"{stem}{SEPARATOR}{o}" for o in others]:
                there = session.find([other]) if schema.endswith(end) else []
                targets = session.targets([other]) if len(there) > FEW else {}
                if targets and all(targets.get(f.relation) is not None for f in there):
                    session.clone_schema(other, schema)
                    break

    def _wrong(
        self, session: Session, environment: EnvironmentName, pointers: Mapping[Relation, Relation | None]
    ) -> dict[Relation, Relation | None]:
        """Of ``pointers``, those that aren't as they shall be: what was set before a crash, or came with a schema that
        was cloned, isn't set again; and what came with it and isn't wanted goes."""
        there = session.targets({p.schema for p in pointers})
        wrong = {
            view: target
            for view, target in pointers.items()
            if (view in there if target is None else there.get(view) != target)
        }
        if environment != self._trunk and self._suffix is Suffix.SCHEMA and environment not in self.recorded(session):
            wrong.update({v: None for v, target in there.items() if target is not None and v not in pointers})
        return wrong

    def point(self, session: Session, pointers: Mapping[Relation, Relation | None]) -> None:
        """What is granted on a view stays, also on an engine that forgets it where a view is replaced."""
        has_grants = self._engine.capabilities.get(Capability.GRANTS) is Support.FULL
        kept = session.grants([view for view, target in pointers.items() if target is not None]) if has_grants else {}
        self._spread(session, pointers)
        for view, granted in kept.items():
            session.grant(view, granted)

    def _spread(self, session: Session, pointers: Mapping[Relation, Relation | None]) -> None:
        """Sets them in several sessions at the same time, where no transaction holds them together."""
        concurrent = self._engine.capabilities.get(Capability.CONCURRENT_STATEMENTS) is Support.FULL
        number = min(self._connections, len(pointers))
        if session.transacts or not concurrent or number < 2:
            session.point(pointers)
            return
        waiting = list(pointers.items())
        parts = [dict(waiting[at::number]) for at in range(number)]

        def point(part: Mapping[Relation, Relation | None]) -> None:
            with self._open_session() as own:
                own.point(part)

        with ThreadPoolExecutor(number) as pool:
            for done in [pool.submit(point, part) for part in parts]:
                done.result()

    def point_again(self, session: Session, reshaped: Collection[Relation], snapshots: Mapping[str, Snapshot]) -> None:
        """Views keep the columns that they were made with: those over tables whose columns changed are made anew."""
        found = {v: t for v, t in session.targets(session.schemas()).items() if t in reshaped}
        self.point(session, found)
        for environment in self.recorded(session):
            for snapshot in snapshots.values():
                if found.get(self.at(environment, snapshot.asset)) == relation(snapshot.location):
                    self._shown(session, environment, snapshot.asset, snapshot)

    def _shown(self, session: Session, environment: EnvironmentName, asset: AssetName, snapshot: Snapshot) -> None:
        """Runs what the model says for when its view is made."""
        pointer = self.pointer(environment, asset, snapshot)
        if pointer is None:
            return
        view = pointer[1]
        for template in snapshot.definition.statements.shown:
            text = put_in(
                template,
                name(session, view),
                str(view),
                lambda a: name(session, self.at(environment, a)),
                session.grammar,
            )
            try:
                session.execute(text)
            except StatementFailed as failure:
                self._tell(failure, snapshot)
                raise

    def ensure_record(self, session: Session) -> None:
        self._ledger(session).ensure()

    def recorded(self, session: Session) -> dict[EnvironmentName, Shown]:
        """What each environment shows."""
        return {
            EnvironmentName(name): Shown(CommitId(ObjectId(commit)), TreeId(ObjectId(tree)))
            for name, (commit, tree) in self._ledger(session).read().items()
        }

    def _ledger(self, session: Session) -> Ledger:
        return Ledger(session, _RECORD, ("environment", "commit_id", "tree_id"))
