"""How one snapshot is made: from its query or its file, with what it reads put in."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from anabranch.domain.content import Content
from anabranch.domain.ids import digest
from anabranch.domain.intervals import Span, moment
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import HISTORY, INCREMENTAL, Definition, Kind, SeedSource, Snapshot
from anabranch.errors import ModelError, StalePlan, StatementFailed, UnknownUpstream, Where
from anabranch.ports.engine import Found, Relation, Session, transaction
from anabranch.ports.provider import Staged, Work
from anabranch.providers.filling import Filler, staged_inputs
from anabranch.providers.generations import name
from anabranch.providers.standing import relation
from anabranch.sql.macros.moments import fill_moments, has_moments
from anabranch.sql.template import fill

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

    def make(self) -> tuple[Found | None, int | None, Content | None]:
        """What stands there then, its rows where they were counted, and what it holds where that is recorded."""
        place = relation(self.snapshot.location)
        if self.snapshot.kind in INCREMENTAL | HISTORY:
            content = self.filler().build()
            return self._look(place), self.session.count(place), content
        try:
            # a seed is looked at again after it was read, so that isn't one statement
            with transaction(self.session) if self.snapshot.kind is Kind.SEED else nullcontext():
                rows = self._make(place)
        except StatementFailed:
            if self.session.columns(place) is None:  # else: what stands there is in the way
                raise
            with transaction(self.session):
                self.session.drop([place])
                rows = self._make(place)
        return self._look(place), rows, None

    def filler(self) -> Filler:
        """For a snapshot whose data moves on."""
        return Filler(self.session, self.snapshot, self.query, self.work)

    def _look(self, place: Relation) -> Found | None:
        """What was made. A view's definition has to be looked for among all views; a table has none."""
        if self.snapshot.kind is Kind.VIEW:
            return self.session.describe(place)
        columns = self.session.columns(place)
        return Found(place, False, columns) if columns is not None else None

    def _make(self, place: Relation) -> int | None:
        if self.snapshot.kind is Kind.SEED:
            path, columns = self._seed()
            rows = self.session.load_csv(place, path, columns)
            self._seed()  # still the same content after it was read
            return rows
        query = self.query(None)
        if self.snapshot.kind is Kind.VIEW:
            self.session.create_view(place, query)
            return None
        return self.session.create_table(place, query)

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
        text = self._rendered(instead)
        if not has_moments(text):
            return text
        begin, end = span or (0, self.work.now)
        return fill_moments(text, moment(begin), moment(end), moment(self.work.now))

    def _rendered(self, instead: Mapping[AssetName, str]) -> str:
        inlined = {a for a in self.inputs if self._is_inlined(a)}
        reading = {a: name(self.session, relation(s.location)) for a, s in self.inputs.items() if a not in inlined}
        reading |= staged_inputs(self.session, self.inputs, self.staged)
        reading |= instead
        needed = [self.snapshot.definition, *(self.inputs[a].definition for a in inlined)]
        if all(d.template for d in needed):
            return self._filled(self.snapshot.definition, reading)
        return self._parsed(reading)

    def _is_inlined(self, asset: AssetName) -> bool:
        """An embedded model; and a view over what is being refreshed, for it shows what is there until then."""
        snapshot = self.inputs[asset]
        if snapshot.kind is Kind.VIEW:
            known = [u for u in snapshot.upstreams if u in self.inputs]
            return bool(self.staged) and any(u in self.staged or self._is_inlined(u) for u in known)
        return not snapshot.is_table

    def _filled(self, definition: Definition, reading: Mapping[AssetName, str]) -> str:
        """By the template: an embedded model is its own query, filled likewise."""

        def stand_in(asset: AssetName) -> str:
            if asset in reading:
                return reading[asset]
            if asset not in self.inputs:
                raise UnknownUpstream(f"the query reads {asset}, which doesn't exist", asset=self.snapshot.asset)
            return f"({self._filled(self.inputs[asset].definition, reading)}\n)"

        return fill(definition.template, stand_in)

    def _parsed(self, reading: Mapping[AssetName, str]) -> str:
        """By parsing the definition's text: its template was made by other rules."""
        from anabranch.sql.rewrite import template_of  # imported late: it loads the parser

        def parsed(definition: Definition) -> Definition:
            template = template_of(definition.text, definition.dialect, self.default_schema)
            return Definition(definition.text, definition.dialect, definition.path, template)

        inlined = {a: s for a, s in self.inputs.items() if a not in reading}
        inputs = {a: replace(s, definition=parsed(s.definition)) for a, s in inlined.items()}
        maker = replace(self, inputs={**self.inputs, **inputs})
        return maker._filled(parsed(self.snapshot.definition), reading)
