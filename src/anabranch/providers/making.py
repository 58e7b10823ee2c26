"""How one snapshot is made: from its query or its file, with what it reads put in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from anabranch.domain.content import Content
from anabranch.domain.hooks import INDEX, THIS
from anabranch.domain.ids import digest
from anabranch.domain.intervals import Span, moment
from anabranch.domain.names import PART_LENGTH, AssetName, shorten
from anabranch.domain.places import VERSION_DIGITS
from anabranch.domain.snapshot import HISTORY, INCREMENTAL, PYTHON, Definition, Kind, SeedSource, Snapshot
from anabranch.errors import AnabranchError, ModelError, StalePlan, StatementFailed, UnknownUpstream, Where
from anabranch.ports.engine import Found, Relation, Session, name, transaction
from anabranch.ports.grammar import Grammar
from anabranch.ports.materialization import GROUP, Making, Materializations
from anabranch.ports.provider import Staged, Work
from anabranch.providers.expressions import OpenSession
from anabranch.providers.filling import Filler
from anabranch.providers.generations import scratch
from anabranch.providers.python_runs import PythonRun
from anabranch.providers.standing import read_at, relation
from anabranch.providers.turns import Turns
from anabranch.sql.macros.moments import fill_moments, has_moments
from anabranch.sql.template import Template, fill

NOTHING: Mapping[AssetName, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes one snapshot, in one session. ``inputs``: its upstreams, and theirs through embedded models; those in
    ``staged`` are read as they will be."""

    session: Session
    snapshot: Snapshot
    inputs: Mapping[AssetName, Snapshot]
    work: Work
    root: Path
    default_schema: str
    staged: Mapping[AssetName, Staged]
    reading: OpenSession
    """Opens another session, that only reads."""
    dialect: str
    """The engine's."""
    writing: OpenSession | None
    """Opens another that writes, where several may at the same time."""
    materializations: Materializations
    turns: Turns
    """How generations take turns in its engine."""

    def make(self) -> tuple[Found | None, int | None, Content | None]:
        """What stands there then, its rows where they were counted, and what it holds where that is recorded."""
        place = relation(self.snapshot.location)
        if self.snapshot.kind in INCREMENTAL | HISTORY:
            content = replace(self.filler(), home=self.turns.home(self.session, self.snapshot)).build()
            return self._look(place), self.session.count(place), content
        home, _ = self.turns.home(self.session, self.snapshot)
        if self.session.transacts:
            rows = self._make_whole(home)
        elif self.snapshot.kind is Kind.VIEW or self.session.columns(home) is None:
            rows = self._make_alone(home)
        else:  # what stands there goes on being read until the other is whole
            spare = scratch(place, 7)
            rows = self._make_alone(spare)
            self.turns.show(self.session, place, spare)
            self.session.drop([home])
            self.turns.copy(self.session, spare, home)
            self.turns.show(self.session, place, home)
            self.session.drop([spare])
        self.turns.show(self.session, place, home)
        return self._look(place), rows, None

    def _make_whole(self, home: Relation) -> int | None:
        """In a transaction, where it takes several statements."""
        several = self.snapshot.kind in (Kind.SEED, Kind.CUSTOM) or bool(self.snapshot.definition.statements)
        try:
            # a seed is looked at again after it was read, and statements run around a query: that isn't one statement
            with transaction(self.session) if several else nullcontext():
                return self._make(home)
        except StatementFailed:
            if self.session.columns(home) is None:  # else: what stands there is in the way
                raise
            with transaction(self.session):
                self.session.drop([home])
                return self._make(home)

    def _make_alone(self, home: Relation) -> int | None:
        """Without transactions, where nobody looks yet, or in one step; nothing is left of a build that fails."""
        if self.snapshot.kind is not Kind.VIEW:
            self.session.drop([home])
        try:
            return self._make(home)
        except BaseException:
            with suppress(AnabranchError):
                self.session.drop([home])
            raise

    def filler(self) -> Filler:
        """For a snapshot whose data moves on."""
        python = self._python() if self.snapshot.definition.dialect == PYTHON else None
        custom = self._materialize if self.snapshot.kind is Kind.CUSTOM else None
        return Filler(
            self.session,
            self.snapshot,
            self.query,
            self.work,
            self.before,
            self.after,
            python,
            self.writing,
            custom,
            self.turns,
        )

    def _materialize(self, table: Relation, query: str, previous: Relation | None) -> None:
        """Lets a third party make ``table``."""
        asset, said = self.snapshot.asset, self.snapshot.properties
        wanted = said["materialization"]
        found = self.materializations(wanted)
        if found is None:
            raise ModelError(
                f"there is no materialization {wanted}", asset=asset, hint=f"install the package that has it ({GROUP})"
            )
        options: dict[str, str] = json.loads(said.get("materialization_properties", "{}"))
        making = Making(
            asset,
            name(self.session, table),
            query,
            name(self.session, previous) if previous is not None else None,
            options,
            self.session.execute,
            lambda text: self.session.query(text).rows,
            said,
        )
        try:
            found.make(making)
        except AnabranchError:
            raise
        except Exception as error:  # whatever a third party raises
            raise ModelError(f"materialization {wanted} failed: {error}", asset=asset, hint="correct it") from error
        if self.session.columns(table) is None:
            raise ModelError(f"materialization {wanted} didn't make {table}", asset=asset, hint="correct it")

    def before(self, place: Relation) -> None:
        """Runs the statements that stand before the query."""
        self._run(self.snapshot.definition.statements.before, place)

    def after(self, place: Relation) -> None:
        """Runs those after it, on what was made at ``place``."""
        self._run(self.snapshot.definition.statements.after, place)

    def _run(self, templates: Sequence[Template], place: Relation) -> None:
        reading = self._reading() if templates else {}
        for template in templates:
            this = name(self.session, place)
            text = put_in(template, this, str(place), lambda a: self._stand_in(a, reading), self.session.grammar)
            self.session.execute(self._moments(text, self.work.spans[:1] + self.work.spans[-1:]))

    def _python(self) -> PythonRun:
        """For a model whose rows come from a function."""
        reads = [a for a in self.snapshot.upstreams if a in self.inputs]
        sources = {a: self._rendered(Definition(template=("SELECT * FROM ", a, ""))) for a in reads}
        root, now = self.root, self.work.now
        return PythonRun(
            self.session, self.reading, self.snapshot, root, sources, self.default_schema, now, self.dialect
        )

    def _look(self, place: Relation) -> Found | None:
        """What was made. A view's definition has to be looked for among all views; a table has none."""
        return self.turns.look(self.session, place, is_view=self.snapshot.kind is Kind.VIEW)

    def _make(self, place: Relation) -> int | None:
        if self.snapshot.kind is Kind.SEED:
            path, columns = self._seed()
            rows = self.session.load_csv(place, path, columns)
            self._seed()  # still the same content after it was read
            return rows
        if self.snapshot.kind is Kind.CUSTOM:
            self.before(place)
            self._materialize(place, self.query(None), None)
            self.after(place)
            return self.session.count(place)
        if self.snapshot.definition.dialect == PYTHON:
            return self._python().load(place, None)
        query = self.query(None)
        self.before(place)
        if self.snapshot.kind is Kind.VIEW:
            self.session.create_view(place, query)
            self.after(place)
            return None
        rows = self.session.create_table(place, query)
        self.after(place)
        return rows if not self.snapshot.definition.statements.after else self.session.count(place)

    def _seed(self) -> tuple[Path, dict[str, str]]:
        snapshot = self.snapshot
        seed = SeedSource.decode(snapshot.definition.text)
        path = self.root / snapshot.definition.path
        try:
            same = digest(path.read_bytes()) == seed.content
        except OSError as error:
            raise ModelError(f"seed {snapshot.asset} can't be read: {error.strerror}", where=Where(path)) from error
        if not same:
            raise StalePlan(
                f"{snapshot.definition.path} is no longer what seed {snapshot.asset} was planned from",
                where=Where(path),
                hint="plan again; to go back to an earlier state, first bring that version of the file back",
            )
        return path, dict(seed.columns)

    def query(self, span: Span | None, instead: Mapping[AssetName, str] = NOTHING) -> str:
        """The query, with what it reads put in, and the moments of ``span`` where it names them. ``instead``: what
        stands for some of what it reads."""
        return self._moments(self._rendered(self.snapshot.definition, instead), (span,) if span else ())

    def _moments(self, text: str, spans: Sequence[Span]) -> str:
        """``text`` with the moments from the first span's begin to the last one's end, where it names them."""
        if not has_moments(text):
            return text
        begin, end = (spans[0][0], spans[-1][1]) if spans else (0, self.work.now)
        return fill_moments(text, moment(begin), moment(end), moment(self.work.now))

    def _reading(self) -> dict[AssetName, str]:
        """What stands for each of ``inputs`` that isn't inlined."""
        reading = {a: name(self.session, read_at(s)) for a, s in self.inputs.items() if not self._is_inlined(a)}
        staged = {a: self.turns.stand_in(self.session, self.staged[a]) for a in self.inputs if a in self.staged}
        return reading | staged

    def _rendered(self, definition: Definition, instead: Mapping[AssetName, str] = NOTHING) -> str:
        inlined = {a for a in self.inputs if self._is_inlined(a)}
        reading = {**self._reading(), **instead}
        needed = [definition, *(self.inputs[a].definition for a in inlined)]
        if all(d.template for d in needed):
            return self._filled(definition, reading)
        return self._parsed(definition, reading)

    def _is_inlined(self, asset: AssetName) -> bool:
        """An embedded model; and a view over what is being refreshed, for it shows what is there until then."""
        snapshot = self.inputs[asset]
        if snapshot.kind is Kind.VIEW:
            known = [u for u in snapshot.upstreams if u in self.inputs]
            return bool(self.staged) and any(u in self.staged or self._is_inlined(u) for u in known)
        return not snapshot.is_table

    def _filled(self, definition: Definition, reading: Mapping[AssetName, str]) -> str:
        """By the template: an embedded model is its own query, filled likewise."""

        return fill(definition.template, lambda asset: self._stand_in(asset, reading))

    def _stand_in(self, asset: AssetName, reading: Mapping[AssetName, str]) -> str:
        if asset in reading:
            return reading[asset]
        if asset not in self.inputs:
            raise UnknownUpstream(f"the query reads {asset}, which doesn't exist", asset=self.snapshot.asset)
        return f"({self._filled(self.inputs[asset].definition, reading)}\n)"

    def _parsed(self, definition: Definition, reading: Mapping[AssetName, str]) -> str:
        """By parsing the definition's text: its template was made by other rules."""
        from anabranch.sql.rewrite import template_of  # imported late: it loads the parser

        def parsed(definition: Definition) -> Definition:
            if definition.template and not definition.text:
                return definition
            template = template_of(definition.text, definition.dialect, self.default_schema)
            return replace(definition, template=template)

        inlined = {a: s for a, s in self.inputs.items() if a not in reading}
        inputs = {a: replace(s, definition=parsed(s.definition)) for a, s in inlined.items()}
        maker = replace(self, inputs={**self.inputs, **inputs})
        return maker._filled(parsed(definition), reading)


def put_in(template: Template, this: str, place: str, stand_in: Callable[[AssetName], str], grammar: Grammar) -> str:
    """A statement with ``this`` for its ``@this_model``, ``stand_in`` of each asset that it reads, and names of indexes
    that no other ``place`` has."""

    def put(hole: AssetName) -> str:
        if hole == THIS:
            return this
        if hole.startswith(INDEX):
            end = f"__{digest(place.encode())[:VERSION_DIGITS]}"
            return grammar.identifier(shorten(hole.removeprefix(INDEX), PART_LENGTH - len(end)) + end)
        return stand_in(hole)

    return fill(template, put)
