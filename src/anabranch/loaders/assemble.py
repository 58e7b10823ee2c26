"""From parsed files to snapshots: what there is, what each asset reads, and its fingerprint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from anabranch.domain.audit import Audit
from anabranch.domain.hooks import Statements
from anabranch.domain.ids import Fingerprint, canonical, digest
from anabranch.domain.names import AssetName, nearest
from anabranch.domain.places import physical_location
from anabranch.domain.restated import PROPERTY, Restated, mixed, published
from anabranch.domain.snapshot import (
    HISTORY,
    INCREMENTAL,
    PHYSICAL,
    PYTHON,
    Definition,
    Input,
    Kind,
    Published,
    SeedSource,
    Snapshot,
)
from anabranch.errors import ModelError, Where
from anabranch.loaders.analyses import Analyses
from anabranch.loaders.audits import Auditing, calls
from anabranch.loaders.naming import SEEDS, Naming
from anabranch.loaders.problems import Problems
from anabranch.loaders.settings import NativeSettings, SeedSettings
from anabranch.loaders.upstreams import Upstreams
from anabranch.ports.materialization import GROUP
from anabranch.sql.columns.link import Linked, link
from anabranch.sql.columns.values import Analysis, Listing
from anabranch.sql.parsed import ParsedModel
from anabranch.sql.version import SCHEME, WORDS

NO_AUDITS = "an embedded model has no rows to audit: audit its readers"
_TELL = 3
"""So many assets are named in a note; the rest is counted."""


@dataclass(slots=True)
class Assembly:
    """The assets of a project, as they are found. ``models`` and ``seeds`` are by path."""

    root: Path
    settings: NativeSettings
    models: Mapping[str, Sequence[ParsedModel]]
    """Several of one file where it has blueprints."""
    seeds: Mapping[str, str]
    """Content hashes."""
    analyses: Analyses
    problems: Problems
    rules: str = ""
    """The version of all that decides fingerprints besides the files."""
    audits: Auditing | None = None
    """Nobody asks for audits where it is None."""
    restated: Mapping[AssetName, Restated] = field(default_factory=dict)
    """What was computed again in the environment."""
    unanalysed: dict[AssetName, str] = field(default_factory=dict)
    """Models that count as a whole, and why."""
    analysed: dict[AssetName, Analysis] = field(default_factory=dict)
    """Of each model, what its query is made of."""
    listings: dict[AssetName, Listing | None] = field(default_factory=dict)
    """The columns of each asset, as far as they are known."""
    queries: dict[AssetName, tuple[str, ParsedModel]] = field(default_factory=dict)
    """The models that are queries, with their files."""
    _seeded: dict[AssetName, tuple[str, ParsedModel]] = field(default_factory=dict)
    """Model files of seeds."""
    _audits: dict[AssetName, tuple[Audit, ...]] = field(default_factory=dict)
    _snapshots: dict[AssetName, Snapshot] = field(default_factory=dict)
    _naming: Naming = field(init=False)

    def __post_init__(self) -> None:
        self._naming = Naming(self.root, self.settings.default_schema, self.seeds, self.problems)

    @property
    def defined(self) -> Mapping[AssetName, tuple[str, Where | None]]:
        """What defines each asset, and where."""
        return self._naming.defined

    def assets(self) -> dict[AssetName, Snapshot]:
        """One snapshot an asset, by name.

        Raises:
            ProjectError: something is wrong; the message tells of all of it.
        """
        for name, source in self.settings.sources.items():
            if self._naming.claim(name, "a source", source.where):
                self._add_source(name)
        claimed = self._add_models()
        self._add_seeds(claimed)
        self.problems.stop()
        upstreams = Upstreams(self._naming, self.queries)
        reads = {name: upstreams.of(name) for name in self.queries}
        self.problems.stop()
        self._add_audits(upstreams)
        self.problems.stop()
        for name in upstreams.ordered(reads):
            if name in self.queries:
                self._add_query(name, reads[name])
        for name, found in self._audits.items():
            self._snapshots[name] = replace(self._snapshots[name], audits=found)
        return {name: self._snapshots[name] for name in sorted(self._snapshots)}

    def notes(self) -> tuple[str, ...]:
        """What was passed over, each once, with the assets that say it."""
        saying: dict[str, list[str]] = {}
        for name in sorted(self.queries):
            model = self.queries[name][1]
            unaudited = (NO_AUDITS,) if model.kind is Kind.EMBEDDED and calls(model) else ()
            for note in (*model.notes, *unaudited):
                saying.setdefault(note, []).append(name)
            for function in self.analysed[name].volatile if name in self.analysed else ():
                note = f"{function}() is used, so that the rows depend on when they are made"
                saying.setdefault(note, []).append(name)
        return tuple(f"{note} ({_some(names)})" for note, names in sorted(saying.items()))

    # -- what there is ------------------------------------------------------------------------------------------------

    def _add_models(self) -> set[str]:
        """All models, and seeds that have a model file; the files of those."""
        claimed: set[str] = set()
        for path, model in [(p, m) for p in sorted(self.models) for m in self.models[p]]:
            name = self._naming.of_model(path, model)
            if name is None:
                continue
            if not model.enabled:
                self._naming.disabled[name] = path
                continue
            where = Where(self.root / path, *model.name_at)
            if not self._naming.claim(name, path, where):
                continue
            if model.kind is Kind.SEED:
                file = self._naming.seed_file(path, model)
                if file is not None:
                    claimed.add(file)
                    self._add_seed(name, file, model)
                    self._seeded[name] = (path, model)
            else:
                self.queries[name] = (path, model)
        return claimed

    def _add_seeds(self, claimed: set[str]) -> None:
        for path in sorted(self.seeds):
            if path not in claimed:
                name = self._naming.of_path(path, SEEDS, SEEDS)
                if name is not None and self._naming.claim(name, path, Where(self.root / path)):
                    self._add_seed(name, path, None)
        for name, seed in self.settings.seeds.items():
            snapshot = self._snapshots.get(name)
            if snapshot is None or snapshot.kind is not Kind.SEED:
                near = nearest(name, [n for n, s in self._snapshots.items() if s.kind is Kind.SEED])
                hint = f"did you mean {near}?" if near else f"put the file into {SEEDS}/, or drop the setting"
                message = f"anabranch.yaml speaks of the seed {name}, which doesn't exist"
                self.problems.add(ModelError(message, asset=name, where=seed.where, hint=hint))

    def _add_audits(self, upstreams: Upstreams) -> None:
        """Of each model. What an audit reads besides its model is no upstream of it."""
        if self.audits is None:
            return
        models = {n: f for n, f in {**self.queries, **self._seeded}.items() if f[1].kind is not Kind.EMBEDDED}
        self.audits.begin(models)
        for name, (path, model) in sorted(models.items()):
            found = self.audits.of(name, path, model)
            for audit in found:
                for read in audit.reads:
                    if read not in self.defined:
                        upstreams.refuse_audit(name, path, model, audit, read)
            if found:
                self._audits[name] = found

    # -- snapshots -----------------------------------------------------------------------------------------------------

    def _add_query(self, name: AssetName, reads: Iterable[AssetName]) -> None:
        path, model = self.queries[name]
        read = {u: self._snapshots[u] for u in sorted(reads)}
        dialect = PYTHON if path.endswith(".py") else self.settings.dialect
        definition = Definition(model.query, dialect, path, self.rules, model.template, model.statements)
        if dialect == PYTHON:
            if model.kind is Kind.CUSTOM:
                hint = "FULL makes a table of what the function gives"
                raise ModelError("kind CUSTOM takes a query", asset=name, where=Where(self.root / path), hint=hint)
            self.analysed[name] = Analysis(fallback="a function in Python")
            self._add_whole(name, model, read, definition)
            return
        if model.kind is Kind.CUSTOM:
            version = self._materialization_version(name, path, model)
            self.analysed[name] = Analysis(fallback="made by a third party")
            logic = Fingerprint(digest(canonical([model.logic, version])))
            self._add_whole(name, replace(model, logic=logic), read, definition)
            return
        analysis = self.analyses.of(model, {u: self.listings[u] for u in read})
        self.analysed[name] = analysis
        if analysis.fallback:
            self.unanalysed[name] = analysis.fallback
            self._add_whole(name, model, read, definition)
            return
        self.listings[name] = analysis.listing
        salt = [SCHEME, self.settings.salt, self.settings.dialect, model.kind]
        goes_on_reading = model.kind in (Kind.VIEW, Kind.EMBEDDED)
        linked = link(analysis, read, salt, stamp=model.stamp, whole=goes_on_reading)
        if model.kind in INCREMENTAL | HISTORY:
            linked = self._by_and_by(name, model, linked)
        logic = Fingerprint(digest(canonical([SCHEME, model.kind, model.stamp, analysis.logic])))
        self._keep(name, model.kind, logic, linked, model.properties, definition)

    def _materialization_version(self, name: AssetName, path: str, model: ParsedModel) -> str:
        wanted = model.properties["materialization"]
        found = self.settings.materializations(wanted)
        if found is None:
            raise ModelError(
                f"there is no materialization {wanted}",
                asset=name,
                where=Where(self.root / path),
                hint=f"install the package that has it, as an entry point of the group {GROUP}",
            )
        return found.version

    def _by_and_by(self, name: AssetName, model: ParsedModel, linked: Linked) -> Linked:
        """A table that is filled by and by has other rows than its query; a history has two more columns."""
        rows = _hash(model.kind, model.stamp, linked.published.rows)
        columns = linked.published.columns
        listing = self.listings[name]
        if model.kind in HISTORY:
            more = _validity(model)
            if columns is not None:
                columns = {**columns, **{c: _hash(rows, linked.fingerprint, c) for c in more}}
            if listing is not None:
                self.listings[name] = replace(listing, names=(*listing.names, *more))
        return replace(linked, published=Published(rows, columns))

    def _add_whole(
        self, name: AssetName, model: ParsedModel, read: Mapping[AssetName, Snapshot], definition: Definition
    ) -> None:
        """The rules by column don't cover all of it: it counts by its words, and reads the whole of its upstreams."""
        inputs = {u: Input(s.fingerprint) for u, s in read.items()}
        said = [SCHEME, self.settings.salt, model.kind, model.logic, {u: i.fingerprint for u, i in inputs.items()}]
        fingerprint = Fingerprint(digest(canonical(said)))
        names = None if model.columns is None else (*(c.lower() for c in model.columns), *_validity(model))
        self.listings[name] = None if names is None else Listing(names, is_closed=True)
        columns = None if names is None else {n: _hash(fingerprint, n) for n in names}
        linked = Linked(fingerprint, Published(fingerprint, columns), inputs)
        self._keep(name, model.kind, model.logic, linked, model.properties, definition)

    def _add_seed(self, name: AssetName, path: str, model: ParsedModel | None) -> None:
        said = self.settings.seeds.get(name, SeedSettings())
        columns = {c.lower(): t for c, t in said.columns.items()}
        properties = {"key": ",".join(said.key)} if said.key else {}
        if model is not None and model.seed is not None:
            columns |= model.seed.columns
            properties |= model.properties
        source = SeedSource(self.seeds[path], columns).encode()
        logic = Fingerprint(digest(canonical([WORDS, Kind.SEED, source])))
        listing = self.listings[name] = self.analyses.header(path, self.seeds[path])
        names = None if listing is None else listing.names
        around = model.statements if model is not None else Statements()
        self._add(name, Kind.SEED, logic, names, properties, Definition(source, "", path, self.rules, (), around))

    def _add_source(self, name: AssetName) -> None:
        source = self.settings.sources[name]
        columns = {c.lower(): " ".join(t.lower().split()) for c, t in source.columns.items()}
        said = canonical({"columns": columns})
        logic = Fingerprint(digest(canonical([WORDS, Kind.EXTERNAL, name]) + said))
        self.listings[name] = Listing(tuple(columns), is_source=True)
        properties = {
            "columns": ",".join(source.columns),
            "description": source.description,
            "key": ",".join(source.key),
        }
        properties = {k: v for k, v in properties.items() if v}
        definition = Definition(said.decode(), rules=self.rules)
        fingerprint = self._whole(Kind.EXTERNAL, logic)
        rows = _hash(Kind.EXTERNAL, name, self.settings.salt)
        published = Published(rows, {c: _hash(rows, c, kind) for c, kind in columns.items()})
        self._keep(name, Kind.EXTERNAL, logic, Linked(fingerprint, published, {}), properties, definition)

    def _add(
        self,
        name: AssetName,
        kind: Kind,
        logic: Fingerprint,
        columns: Sequence[str] | None,
        properties: Mapping[str, str],
        definition: Definition,
    ) -> None:
        """What reads nothing, and of which any change counts for all of its columns."""
        fingerprint = self._whole(kind, logic)
        published = Published(fingerprint, None if columns is None else {c: _hash(fingerprint, c) for c in columns})
        self._keep(name, kind, logic, Linked(fingerprint, published, {}), properties, definition)

    def _whole(self, kind: Kind, logic: Fingerprint) -> Fingerprint:
        return Fingerprint(digest(canonical([WORDS, self.settings.salt, kind, logic, {}])))

    def _keep(
        self,
        name: AssetName,
        kind: Kind,
        logic: Fingerprint,
        linked: Linked,
        properties: Mapping[str, str],
        definition: Definition,
    ) -> None:
        properties = {k: v for k, v in properties.items() if k != PROPERTY}
        restated = self.restated.get(name)
        if restated is not None and restated.belongs_to(logic, definition.text):
            mark = restated.mark
            linked = replace(
                linked, fingerprint=mixed(mark, linked.fingerprint), published=published(mark, linked.published)
            )
            properties[PROPERTY] = mark
        fingerprint = linked.fingerprint
        location = name if kind is Kind.EXTERNAL else physical_location(name, fingerprint) if kind in PHYSICAL else ""
        self._snapshots[name] = Snapshot(
            name,
            kind,
            self.settings.provider,
            fingerprint,
            logic,
            location,
            linked.inputs,
            properties,
            definition,
            linked.published,
        )


def _validity(model: ParsedModel) -> tuple[str, ...]:
    """The columns that a history has besides those of its query."""
    if model.kind not in HISTORY:
        return ()
    return model.properties.get("valid_from_name", "valid_from"), model.properties.get("valid_to_name", "valid_to")


def _hash(*parts: str) -> Fingerprint:
    return Fingerprint(digest(canonical(parts)))


def _some(names: list[str]) -> str:
    more = len(names) - _TELL
    return ", ".join(names[:_TELL]) + (f" and {more} more" if more > 0 else "")
