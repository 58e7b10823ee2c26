"""Unit tests run here: in one database in memory, each in a schema of its own, which is dropped after it.

An input's types come from what the test says (``columns``), else from what is known of the asset, else from the values.
What is known of an asset is its *shape*: a source's declared columns, a seed's file, and of a model what its query
gives over the shapes of what it reads. A shape is an empty table; it also stands for what a test doesn't give.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from anabranch.domain.cells import Cell, Form
from anabranch.domain.matching import Row, Rows
from anabranch.domain.names import AssetName, nearest
from anabranch.domain.snapshot import PYTHON, Function, Kind, SeedSource, Snapshot
from anabranch.domain.unit_test import QUERY, Fixture, UnitTest
from anabranch.errors import AnabranchError, StatementFailed, UnitTestError, Where
from anabranch.ports.engine import Engine, Relation, Session, quoted
from anabranch.ports.unit_tests import Answers, Checked
from anabranch.providers.expectations import is_spelled, values_of
from anabranch.providers.python_runs import PythonRun
from anabranch.sql import fixtures as sql
from anabranch.sql.template import Template, fill

DUCKDB = "duckdb"
_SHAPES = "shapes"
Columns = dict[str, str | None]
"""Types by name, in order; None where the engine decides."""


@dataclass(slots=True)
class _Run:
    """One test under way. ``tables``: what stands for each input."""

    test: UnitTest
    session: Session
    schema: str
    tables: dict[AssetName, str] = field(default_factory=dict)
    types: dict[str, dict[str, str]] = field(default_factory=dict)


class MemoryBench:
    """See :class:`anabranch.ports.unit_tests.Bench`. ``engine`` is a database that nothing else uses."""

    def __init__(
        self,
        engine: Engine,
        *,
        root: Path,
        assets: Mapping[AssetName, Snapshot],
        default_schema: str,
        dialect: str,
        time_zone: str = "UTC",
    ) -> None:
        """``dialect``: of the declared types; ``time_zone``: of the tests' sessions."""
        self._engine = engine
        self._root = root
        self._assets = assets
        self._default_schema = default_schema
        self._dialect = dialect
        self._time_zone = time_zone
        self._numbers = itertools.count()
        self._lock = threading.RLock()
        self._shapes: dict[AssetName, dict[str, str] | None] = {}
        self._templates: dict[tuple[AssetName, datetime | None, str | None], Template] = {}

    def close(self) -> None:
        self._engine.close()

    # -- running ---------------------------------------------------------------------------------------------------
    def answer(self, test: UnitTest) -> Answers:
        with self._session() as session:
            run = _Run(test, session, f"test_{next(self._numbers)}")
            session.create_schemas([run.schema])
            try:
                reads = self.reads(test)
                for asset in reads:
                    run.tables[asset] = self._stand_in(run, asset)
                checked = tuple(self._check(run, name, fixture) for name, fixture in test.expected().items())
            finally:
                session.execute(f"DROP SCHEMA {quoted([run.schema])} CASCADE")
        unread = sorted(set(test.inputs) - set(reads))
        notes = tuple(f"{asset} is given, but {test.model} doesn't read it" for asset in unread)
        return Answers(checked, notes, run.types)

    def reads(self, test: UnitTest) -> list[AssetName]:
        found: dict[AssetName, None] = {}
        stack = list(self._assets[test.model].upstreams)
        while stack:
            asset = stack.pop(0)
            if self._assets[asset].kind is Kind.EMBEDDED and asset not in test.inputs:
                stack += self._assets[asset].upstreams
            else:
                found[asset] = None
        return list(found)

    @contextmanager
    def _session(self, *, read_only: bool = False) -> Iterator[Session]:
        with self._engine.session(read_only=read_only) as session:
            session.execute(f"SET TimeZone = {sql.literal(self._time_zone)}")
            yield session

    def _check(self, run: _Run, name: str, fixture: Fixture) -> Checked:
        test = run.test
        place = Relation(run.schema, f"result {name}")
        if self._assets[test.model].definition.dialect == PYTHON:
            self._call(run, place, name, fixture)
        else:
            template = self._template_at(test, None if name == QUERY else name, fixture)
            run.session.create_table(place, fill(template, lambda asset: self._fill(run, asset)))
        types = dict(run.session.columns(place) or ())
        as_text = {n: is_spelled(kind) for n, kind in types.items()}
        got = run.session.query(sql.readable(_name(run.session, place), list(as_text.items()))).rows
        expected = self._expected(run, name, fixture, types)
        rows = Rows(tuple(types), tuple(tuple(r) for r in got))
        return Checked(name, expected, rows, tuple(types.values()), fixture.partial)

    def _call(self, run: _Run, place: Relation, name: str, fixture: Fixture) -> None:
        """Has a model's function make the table."""
        test = run.test
        if name != QUERY:
            message = f"{test.model} is a model in Python: it has no expressions"
            raise UnitTestError(message, where=fixture.where, hint="test what it returns, under query:")
        snapshot = self._assets[test.model]
        sources = {a: f"SELECT * FROM {self._fill(run, a)}" for a in snapshot.upstreams}
        now = int(test.moment.timestamp()) if test.moment is not None else 0
        reading = partial(self._session, read_only=True)
        PythonRun(run.session, reading, snapshot, self._root, sources, self._default_schema, now, DUCKDB).load(
            place, None
        )

    def _template_at(self, test: UnitTest, cte: str | None, fixture: Fixture) -> Template:
        try:
            return self._template(test.model, test, cte)
        except UnitTestError as error:
            error.where = error.where or (fixture if cte else test).where
            raise

    def _template(self, asset: AssetName, test: UnitTest | None, cte: str | None = None) -> Template:
        """The query of a model with holes for what it reads. It is made once. Macros, once models have them, are
        given ``test.variables`` here and nowhere else (and are then part of the key)."""
        definition = self._assets[asset].definition
        moment = test.moment if test is not None else None
        if definition.dialect == DUCKDB and definition.template and moment is None and cte is None:
            return definition.template
        key = asset, moment, cte
        with self._lock:
            found = self._templates.get(key)
            if found is None:
                from anabranch.sql.unit_query import unit_template  # loads the parser

                found = unit_template(definition.text, definition.dialect, self._default_schema, moment=moment, cte=cte)
                self._templates[key] = found
        return found

    def _fill(self, run: _Run, asset: AssetName) -> str:
        there = run.tables.get(asset)
        if there is not None:
            return there
        return f"({fill(self._template(asset, run.test), lambda upstream: self._fill(run, upstream))}\n)"

    # -- inputs ----------------------------------------------------------------------------------------------------
    def _stand_in(self, run: _Run, asset: AssetName) -> str:
        fixture = run.test.inputs.get(asset)
        shape = self._shape(asset)
        if fixture is None:
            if shape is None:
                raise UnitTestError(
                    f"{run.test.name} gives no rows for {asset}, which {run.test.model} reads and whose columns aren't"
                    " known",
                    where=run.test.where,
                    hint=f"add {asset} to inputs" + self._or_declare(asset),
                )
            return _name(run.session, Relation(_SHAPES, asset))
        place = Relation(run.schema, asset)
        self._load(run, place, fixture, shape, asset)
        run.types[asset] = dict(run.session.columns(place) or ())
        return _name(run.session, place)

    def _or_declare(self, asset: AssetName) -> str:
        is_source = self._assets[asset].kind is Kind.EXTERNAL
        return ", or declare its columns under sources in anabranch.yaml" if is_source else ""

    def _load(self, run: _Run, place: Relation, fixture: Fixture, shape: Mapping[str, str] | None, what: str) -> None:
        said = {n.lower(): self._type(t, fixture.where, f"{what}.{n}") for n, t in fixture.columns.items()}
        if fixture.query is not None:
            self._load_query(run, place, fixture, shape, said)
            return
        columns = self._columns(fixture, shape, said, what)
        if not columns:
            raise UnitTestError(
                f"{what} has no rows here, and its columns aren't known", where=fixture.where, hint="add columns: {…}"
            )
        rows = [{n.lower(): c for n, c in row.items()} for row in fixture.rows]
        for row in rows:
            for name, cell in row.items():
                self._check_fit(fixture, cell, next(k for n, k in columns.items() if n.lower() == name))
        try:
            run.session.create_table(place, sql.rows(columns, rows))
        except StatementFailed as failure:
            raise self._unloadable(run.session, fixture, columns, rows, failure) from failure

    def _columns(
        self, fixture: Fixture, shape: Mapping[str, str] | None, said: Mapping[str, str], what: str
    ) -> Columns:
        """All columns of a table: those that are known, then those that only the test names."""
        found: Columns = {n: said.get(n.lower(), kind) for n, kind in (shape or {}).items()}
        known = {n.lower() for n in found}
        for name in fixture.names():
            if name.lower() in known:
                continue
            if shape is not None and name.lower() not in said:
                near = nearest(name.lower(), list(known))
                hint = f"did you mean {near}?" if near else f"give its type under columns, or use {', '.join(shape)}"
                raise UnitTestError(f"{what} has no column {name}", where=_place(fixture, name), hint=hint)
            found[name] = said.get(name.lower()) or self._inferred(fixture, name, what)
        return found

    @staticmethod
    def _inferred(fixture: Fixture, name: str, what: str) -> str | None:
        cells = [c for row in fixture.rows for n, c in row.items() if n.lower() == name.lower()]
        try:
            return sql.infer(cells)
        except ValueError as error:
            hint = f"give its type: columns: {{{name}: varchar}}"
            raise UnitTestError(f"{what}.{name}: {error}", where=_place(fixture, name), hint=hint) from error

    def _type(self, text: str, where: Where, what: str) -> str:
        """A type that a person wrote, as DuckDB spells it."""
        if self._dialect == DUCKDB and sql.is_plain_type(text):
            return text.upper()
        from anabranch.sql.unit_query import data_type  # loads the parser

        try:
            return data_type(text, self._dialect)
        except ValueError as error:
            raise UnitTestError(f"{what}: {error}", where=where, hint="write it as in CREATE TABLE") from error

    @staticmethod
    def _check_fit(fixture: Fixture, cell: Cell, kind: str | None) -> None:
        why = sql.misfit(cell, kind) if kind is not None else None
        if why is not None:
            raise UnitTestError(why, where=_at(fixture, cell), hint="correct it, or give another type under columns")

    @staticmethod
    def _unloadable(
        session: Session, fixture: Fixture, columns: Columns, rows: list[dict[str, Cell]], failure: StatementFailed
    ) -> UnitTestError:
        """Which value it was."""
        kinds = {n.lower(): k for n, k in columns.items()}
        for row in rows:
            for name, cell in row.items():
                kind = kinds[name]
                if kind is None or cell.form is Form.NULL:
                    continue
                try:
                    session.query(sql.cast_one(cell, kind))
                except StatementFailed:
                    message = f"{cell.shown()} can't be a value of {name}, which is {kind}"
                    hint = "correct it, or give another type under columns"
                    return UnitTestError(message, where=_at(fixture, cell), hint=hint)
        first = failure.message.splitlines()[0]
        return UnitTestError(f"these rows can't be loaded: {first}", where=fixture.where, hint="give types: columns")

    def _load_query(
        self, run: _Run, place: Relation, fixture: Fixture, shape: Mapping[str, str] | None, said: Mapping[str, str]
    ) -> None:
        raw = Relation(run.schema, f"{place.name} as queried")
        query = self._alone(fixture)
        try:
            run.session.create_table(raw, query)
            there = dict(run.session.columns(raw) or ())
            columns: Columns = {n: said.get(n.lower(), kind) for n, kind in (shape or {}).items()}
            known = {n.lower() for n in columns}
            columns |= {n: said.get(n.lower(), kind) for n, kind in there.items() if n.lower() not in known}
            source = f"SELECT * FROM {_name(run.session, raw)}"
            run.session.create_table(place, sql.from_query(source, columns, list(there)))
        except StatementFailed as failure:
            raise UnitTestError(
                f"this query can't be run: {failure.message.splitlines()[0]}", where=fixture.where, hint="correct it"
            ) from failure

    def _alone(self, fixture: Fixture) -> str:
        """The query of a fixture, which can read no asset."""
        from anabranch.sql.guard import require_read_only  # loads the parser
        from anabranch.sql.rewrite import render
        from anabranch.sql.unit_query import in_duckdb

        assert fixture.query is not None
        try:
            text = in_duckdb(fixture.query, self._dialect)
            require_read_only(text, DUCKDB)
            return render(text, DUCKDB, {}, {}, self._default_schema)
        except UnitTestError:
            raise
        except AnabranchError as error:
            raise UnitTestError(
                error.message,
                where=fixture.where,
                hint=error.hint or "a query of a test stands alone: select … from (values …)",
            ) from error

    # -- shapes ----------------------------------------------------------------------------------------------------
    def _shape(self, asset: AssetName) -> dict[str, str] | None:
        """The columns of an asset and their types, where they are known; then ``shapes`` has an empty table of it."""
        with self._lock:
            if asset not in self._shapes:
                for each in self._below(asset):
                    if each not in self._shapes:
                        self._shapes[each] = self._find_shape(each)
            return self._shapes[asset]

    def _below(self, asset: AssetName) -> list[AssetName]:
        """``asset`` and all that it depends on, what is read before who reads it."""
        found: dict[AssetName, None] = {}
        stack = [(asset, False)]
        while stack:
            name, is_done = stack.pop()
            if is_done:
                found.setdefault(name)
            elif name not in found:
                stack.append((name, True))
                stack += [(u, False) for u in self._assets[name].upstreams if u not in found]
        return list(found)

    def _find_shape(self, asset: AssetName) -> dict[str, str] | None:
        snapshot = self._assets[asset]
        place = Relation(_SHAPES, asset)
        with self._session() as session:
            session.create_schemas([_SHAPES])
            if snapshot.kind is Kind.EXTERNAL:
                declared = json.loads(snapshot.definition.text).get("columns") or {}
                if not declared:
                    return None
                where = Where(self._root / "anabranch.yaml")
                spelled = snapshot.properties.get("columns", "").lower().split(",")  # in the order of the declaration
                ordered = sorted(declared, key=lambda n: spelled.index(n) if n in spelled else len(spelled))
                types: Columns = {n: self._type(declared[n], where, f"{asset}.{n}") for n in ordered}
                session.create_table(place, sql.rows(types, ()))
            elif snapshot.kind is Kind.SEED:
                if not self._load_seed(session, place, snapshot):
                    return None
            elif snapshot.definition.dialect == PYTHON:
                session.create_table(place, sql.rows(dict(Function.decode(snapshot.definition.text).columns), ()))
            elif not self._make_shape(session, place, asset):
                return None
            return dict(session.columns(place) or ())

    def _load_seed(self, session: Session, place: Relation, snapshot: Snapshot) -> bool:
        source = SeedSource.decode(snapshot.definition.text)
        whole = Relation(_SHAPES, f"{snapshot.asset} as loaded")
        try:
            session.load_csv(whole, self._root / snapshot.definition.path, dict(source.columns))
        except StatementFailed:
            return False
        session.create_table(place, f"FROM {_name(session, whole)} LIMIT 0")
        session.drop([whole])
        return True

    def _make_shape(self, session: Session, place: Relation, asset: AssetName) -> bool:
        def stand_in(upstream: AssetName) -> str:
            if self._shapes[upstream] is None:
                raise LookupError(upstream)
            return _name(session, Relation(_SHAPES, upstream))

        try:
            session.create_table(place, sql.empty(fill(self._template(asset, None), stand_in)))
        except (LookupError, AnabranchError):  # what reads what isn't known isn't known either
            return False
        return True

    # -- expectations ----------------------------------------------------------------------------------------------
    def _expected(self, run: _Run, name: str, fixture: Fixture, types: Mapping[str, str]) -> Rows:
        """As values that can be compared with those of columns of ``types``."""
        if fixture.query is not None:
            place = Relation(run.schema, f"expected {name}")
            self._load_query(run, place, fixture, None, {})
            own = dict(run.session.columns(place) or ())
            listed = [(n, is_spelled(own[n])) for n in own]
            found = run.session.query(sql.readable(_name(run.session, place), listed)).rows
            return Rows(tuple(own), tuple(tuple(r) for r in found))
        by_name = {n.lower(): kind for n, kind in types.items()}
        said = {n.lower(): self._type(t, fixture.where, n) for n, t in fixture.columns.items()}
        names = fixture.names()
        null = Cell(Form.NULL)
        given = [{n.lower(): c for n, c in row.items()} for row in fixture.rows]
        columns: list[list[object]] = []
        for column in names:
            cells = [row.get(column.lower(), null) for row in given]
            kind = by_name.get(column.lower(), "VARCHAR")
            columns.append(values_of(run.session, cells, kind, said.get(column.lower())))
        rows: list[Row] = list(zip(*columns, strict=True)) if columns else [() for _ in given]
        return Rows(tuple(names), tuple(rows))


def _place(fixture: Fixture, name: str) -> Where:
    """Where a column is named first."""
    for row in fixture.rows:
        for known, cell in row.items():
            if known.lower() == name.lower():
                return _at(fixture, cell)
    return fixture.where


def _at(fixture: Fixture, cell: Cell) -> Where:
    return Where(fixture.where.path, cell.line, cell.column)


def _name(session: Session, relation: Relation) -> str:
    full = session.qualify(relation)
    return quoted(p for p in (full.catalog, full.schema, full.name) if p)
