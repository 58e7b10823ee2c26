"""Views that follow names. A view of Postgres reads a table, whatever its name becomes; elsewhere it reads a name,
whatever has it. The :class:`anabranch.ports.engine.Session` promises the second, so what is renamed is followed by its
readers:

- Before a relation loses its name, its readers are noted as *waiting* for that name, with their definitions as they
  are. They go on reading the table.
- When something gets the name, they are made anew over it: a pointer as a pointer, with the columns that are now there;
  any other view, and any materialized view, by its definition. What it reads by names that nothing has yet gets them
  back for that moment.
- What is dropped within a transaction while views read it steps aside under a name of ours, and is dropped when the
  transaction ends: by then what reads it must read something else. Where it doesn't, nothing of the transaction is
  kept.

What waits is forgotten when the session ends; it then reads on what it had.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from anabranch.domain.ids import digest
from anabranch.domain.names import OWN_PREFIX, SEPARATOR
from anabranch.engines.postgres import catalog, remaking
from anabranch.engines.postgres.catalog import KINDS, Known
from anabranch.engines.postgres.link import Link
from anabranch.engines.postgres.remaking import View, pointing, quoted
from anabranch.errors import StatementFailed
from anabranch.ports.engine import Relation

_AT_ONCE = 500
"""Statements in one round trip."""


@dataclass(frozen=True, slots=True)
class Waiting:
    view: View
    missing: frozenset[Relation]
    """The names that it waits for; what it reads by them, the view says."""
    is_due: bool = False
    """Others of its names have something new."""


class Views:
    """The views of one session. All that changes something is done within a transaction of the link."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._waiting: dict[Relation, Waiting] = {}
        self._kept: dict[Relation, Waiting] = {}
        self._aside: dict[Relation, tuple[Relation, str]] = {}
        """Names of what is to be dropped, the ones it had, and what it is."""

    # -- transactions ----------------------------------------------------------------------------------------------
    def begin(self) -> None:
        self._kept = dict(self._waiting)

    def rollback(self) -> None:
        self._waiting = dict(self._kept)
        self._aside.clear()

    def finish(self) -> None:
        """Before the transaction is committed. Raises ``StatementFailed`` where a view is read that was dropped."""
        order = remaking.reading_order(self._link, [r for r, (_, kind) in self._aside.items() if kind in ("v", "m")])
        for aside in sorted(self._aside, key=lambda r: (-order.get(r, -1), r)):
            name, kind = self._aside[aside]
            try:
                self._link.script([f"DROP {KINDS[kind]} {quoted(aside)}"])
            except StatementFailed as failure:
                told = failure.message.replace(str(aside), str(name)).replace(quoted(aside), str(name))
                raise StatementFailed(told, kind=failure.kind, hint=failure.hint) from failure
        self._aside.clear()
        self._kept = dict(self._waiting)

    def is_gone(self, relation: Relation) -> bool:
        """Whether it only waits for the transaction's end to be dropped."""
        return relation in self._aside

    # -- names -----------------------------------------------------------------------------------------------------
    def leaves(self, relation: Relation) -> None:
        """``relation`` is about to lose its name."""
        its = catalog.known(self._link, [], [relation]).get(relation)
        for view in remaking.reading(self._link, [its.oid]) if its is not None else ():
            if relation in view.reads:
                self._waiting.setdefault(view.relation, Waiting(view, frozenset()))
        for place, waiting in self._waiting.items():
            if relation in waiting.view.reads:
                self._waiting[place] = replace(waiting, missing=waiting.missing | {relation})

    def has(self, relations: Collection[Relation]) -> None:
        """``relations`` are names that something has now."""
        due: dict[Relation, Waiting] = {}
        for place, waiting in self._waiting.items():
            missing = waiting.missing - set(relations)
            if waiting.is_due or missing != waiting.missing:
                due[place] = Waiting(waiting.view, missing, is_due=True)
        if not due:
            return
        self._waiting.update(due)
        whole = {place: waiting.view for place, waiting in due.items() if not waiting.missing}
        for place in whole:
            del self._waiting[place]
        self._make(whole.values())
        for place, waiting in due.items():
            if place not in whole:
                self._make_in_part(place, waiting)

    def _make_in_part(self, place: Relation, waiting: Waiting) -> None:
        """A view some of whose names nothing has: what it reads by these gets them back while it is made. It waits on
        where that has another of its names now."""
        reads = waiting.view.reads
        names = {oid: name for name, oid in catalog.named(self._link, [reads[m] for m in waiting.missing]).items()}
        if set(names.values()) & set(reads):
            return
        lent = [(names[reads[name]], name) for name in sorted(waiting.missing)]
        self._link.script([_renaming(there, name.name) for there, name in lent])
        self._make([waiting.view])
        made = remaking.views(self._link, f"SELECT c.oid FROM {catalog.among([place])}")
        self._link.script([_renaming(name, there.name) for there, name in lent])
        if made:
            self._waiting[place] = Waiting(made[0], waiting.missing)
        else:
            del self._waiting[place]

    def _make(self, views: Collection[View]) -> None:
        """Makes those that are still there over what has their names now."""
        kinds = catalog.kinds(self._link, [v.relation for v in views])
        there = [v for v in views if kinds.get(v.relation) == v.kind]
        self.point({v.relation: v.target for v in there if v.target is not None})
        for view in there:
            if view.target is None:
                # its number is another where it was made again since
                (standing,) = remaking.views(self._link, f"SELECT c.oid FROM {catalog.among([view.relation])}")
                remaking.replace(self._link, standing, view.definition.rstrip("; "))

    def forget(self, relations: Collection[Relation]) -> None:
        """``relations`` are gone, or something else: they wait for nothing any more."""
        for relation in relations:
            self._waiting.pop(relation, None)

    # -- views -----------------------------------------------------------------------------------------------------
    def create(self, view: Relation, query: str) -> None:
        """Makes or replaces one."""
        self.forget([view])
        there = catalog.known(self._link, [view], []).get(view)
        statement = f"CREATE OR REPLACE VIEW {quoted(view)}{there.options if there else ''} AS {query}"
        if there is None or there.kind != "v":
            self._link.script([statement])
        else:
            try:
                with self._link.attempt():
                    self._link.script([statement])
            except StatementFailed as failure:
                if failure.kind != "InvalidTableDefinition":
                    raise
                remaking.remake(self._link, {there.oid: query}, plainly=False)
        self.has([view])

    def point(self, pointers: Mapping[Relation, Relation | None]) -> None:
        """Sets pointers, those that are already as they should be aside, and drops those of None."""
        if not pointers:
            return
        wanted = {view: target for view, target in pointers.items() if target is not None}
        known = catalog.known(self._link, pointers, set(wanted.values()))
        self.forget(pointers)
        places: list[str] = []
        others: dict[int, str] = {}
        for view, target in wanted.items():
            there, its = known.get(view), known.get(target)
            if there is None or there.kind != "v" or its is None:
                places.append(f"CREATE OR REPLACE VIEW {quoted(view)} AS {pointing(target)}")
            elif there.target == target and there.shape == its.shape:
                continue
            elif its.shape[: len(there.shape)] == there.shape:
                places.append(f"CREATE OR REPLACE VIEW {quoted(view)}{there.options} AS {pointing(target)}")
            else:
                others[there.oid] = pointing(target)
        for first in range(0, len(places), _AT_ONCE):
            self._link.script(places[first : first + _AT_ONCE])
        if others:
            remaking.remake(self._link, others)
        self.has(list(wanted))
        self._drop([view for view, target in pointers.items() if target is None], known)

    def _drop(self, gone: Collection[Relation], known: Mapping[Relation, Known]) -> None:
        views = {r for r in gone if r in known and known[r].kind == "v"}
        read = self._read_from_outside(views) if any(known[r].is_read for r in views) else set()
        plain = [r for r in gone if r not in read and catalog.is_short(r.schema) and catalog.is_short(r.name)]
        if plain:
            self._link.script([f"DROP VIEW IF EXISTS {', '.join(quoted(r) for r in sorted(plain))}"])
        for view in sorted(read):
            self._step_aside(view, "v")

    def drop(self, relations: Collection[Relation], *, may_step_aside: bool) -> None:
        """Drops those that exist, views before what they read. ``may_step_aside``: something else may get the name of
        one that is read, before the transaction ends."""
        kinds = catalog.kinds(self._link, relations)
        self.forget(kinds)
        read = self._read_from_outside(kinds) if may_step_aside else set()
        order = remaking.reading_order(self._link, [r for r, kind in kinds.items() if kind in ("v", "m")])
        found = sorted(kinds, key=lambda r: (-order.get(r, -1), r))
        for first in range(0, len(found), _AT_ONCE):
            some = [r for r in found[first : first + _AT_ONCE] if r not in read]
            self._link.script([f"DROP {KINDS[kinds[r]]} IF EXISTS {quoted(r)}" for r in some])
        for relation in sorted(read):
            self._step_aside(relation, kinds[relation])

    def _read_from_outside(self, relations: Collection[Relation]) -> set[Relation]:
        """Those that views read which aren't among them."""
        known = catalog.known(self._link, relations, [])
        inner = {k.oid for k in known.values()}
        readers = remaking.reading(self._link, inner) if any(k.is_read for k in known.values()) else []
        outer = {oid for view in readers if view.oid not in inner for oid in view.reads.values()}
        return {relation for relation, its in known.items() if its.oid in outer}

    def _step_aside(self, relation: Relation, kind: str) -> None:
        told = digest(f"{relation.name} {len(self._aside)}".encode())[:12]
        aside = Relation(relation.schema, f"{OWN_PREFIX}{SEPARATOR}aside_{told}")
        self.leaves(relation)
        self._link.script(
            [f"ALTER {KINDS[kind]} {quoted(relation)} RENAME TO {catalog.GRAMMAR.identifier(aside.name)}"]
        )
        self._aside[aside] = relation, kind


def _renaming(relation: Relation, name: str) -> str:
    return f"ALTER TABLE {quoted(relation)} RENAME TO {catalog.GRAMMAR.identifier(name)}"
