"""From parsed files to snapshots: names, duplicates, upstreams, circles, fingerprints."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from anabranch.domain.audit import Audit
from anabranch.domain.graph import Cycle, order
from anabranch.domain.hooks import Statements
from anabranch.domain.ids import Fingerprint, canonical, digest
from anabranch.domain.names import AssetName, asset_name, nearest
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
from anabranch.errors import DependencyCycle, DuplicateAsset, InvalidName, ModelError, UnknownUpstream, Where
from anabranch.loaders.analyses import Analyses
from anabranch.loaders.audits import Auditing, calls
from anabranch.loaders.problems import Problems
from anabranch.loaders.settings import NativeSettings, SeedSettings
from anabranch.ports.materialization import GROUP
from anabranch.sql.columns.link import Linked, link
from anabranch.sql.columns.values import Analysis, Listing
from anabranch.sql.parsed import ParsedModel, Read
from anabranch.sql.version import SCHEME, WORDS

MODELS, SEEDS = "models", "seeds"
RESERVED_SCHEMAS = frozenset(["information_schema", "pg_catalog"])
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
    defined: dict[AssetName, tuple[str, Where | None]] = field(default_factory=dict)
    """What defines each asset, and where."""
    queries: dict[AssetName, tuple[str, ParsedModel]] = field(default_factory=dict)
    """The models that are queries, with their files."""
    _disabled: dict[str, str] = field(default_factory=dict)
    _seeded: dict[AssetName, tuple[str, ParsedModel]] = field(default_factory=dict)
    """Model files of seeds."""
    _audits: dict[AssetName, tuple[Audit, ...]] = field(default_factory=dict)
    _snapshots: dict[AssetName, Snapshot] = field(default_factory=dict)

    def assets(self) -> dict[AssetName, Snapshot]:
        """One snapshot an asset, by name.

        Raises:
            ProjectError: something is wrong; the message tells of all of it.
        """
        for name, source in self.settings.sources.items():
            if self._define(name, "a source", source.where):
                self._add_source(name)
        claimed = self._add_models()
        self._add_seeds(claimed)
        self.problems.stop()
        reads = {name: self._resolve(name) for name in self.queries}
        self.problems.stop()
        self._add_audits()
        self.problems.stop()
        for name in self._ordered(reads):
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

    # -- names ---------------------------------------------------------------------------------------------------------

    def _add_models(self) -> set[str]:
        """All models, and seeds that have a model file; the files of those."""
        claimed: set[str] = set()
        for path, model in [(p, m) for p in sorted(self.models) for m in self.models[p]]:
            name = self._model_name(path, model)
            if name is None:
                continue
            if not model.enabled:
                self._disabled[name] = path
                continue
            where = Where(self.root / path, *model.name_at)
            if not self._define(name, path, where):
                continue
            if model.kind is Kind.SEED:
                file = self._seed_file(path, model)
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
                name = self._path_name(path, SEEDS, SEEDS)
                if name is not None and self._define(name, path, Where(self.root / path)):
                    self._add_seed(name, path, None)
        for name, seed in self.settings.seeds.items():
            snapshot = self._snapshots.get(name)
            if snapshot is None or snapshot.kind is not Kind.SEED:
                near = nearest(name, [n for n, s in self._snapshots.items() if s.kind is Kind.SEED])
                hint = f"did you mean {near}?" if near else f"put the file into {SEEDS}/, or drop the setting"
                message = f"anabranch.yaml speaks of the seed {name}, which doesn't exist"
                self.problems.add(ModelError(message, asset=name, where=seed.where, hint=hint))

    def _model_name(self, path: str, model: ParsedModel) -> AssetName | None:
        if model.name is None:
            return self._path_name(path, MODELS, self.settings.default_schema)
        where = Where(self.root / path, *model.name_at)
        return self._name(model.name, where, f"{path} names its model {model.name!r}")

    def _path_name(self, path: str, folder: str, default_schema: str) -> AssetName | None:
        """``models/sales/eu/orders.sql`` is ``sales.orders``: the first folder is the schema, others only keep
        order."""
        parts = path.split("/")[1:]
        schema = parts[0] if len(parts) > 1 else default_schema
        said = f"{path} can't name a {folder[:-1]}"
        name = parts[-1].rpartition(".")[0]
        if "." in name or "." in schema:
            hint = "rename the file" if "." in name else "rename the folder"
            self.problems.add(InvalidName(f"{said}: there is a dot in it", where=Where(self.root / path), hint=hint))
            return None
        return self._name(f"{schema}.{name}", Where(self.root / path), said)

    def _name(self, text: str, where: Where, said: str) -> AssetName | None:
        try:
            name = asset_name(text)
            if name.split(".")[-2] in RESERVED_SCHEMAS:
                raise InvalidName(f"{text!r} lies in a schema of the warehouse's own", hint="choose another schema")
        except InvalidName as error:
            why = error.message.rpartition(": ")[2] if ": " in error.message else error.message
            self.problems.add(InvalidName(f"{said}: {why}", where=where, hint=error.hint))
            return None
        return name

    def _define(self, name: AssetName, by: str, where: Where | None) -> bool:
        """Whether nothing else defines it."""
        other = self.defined.get(name)
        if other is None:
            self.defined[name] = (by, where)
            return True
        if other[0] == "a source":
            message, hint = f"{name} is defined by {by}, and declared as a source", "drop one of them"
        elif other[0] == by:
            hint = "rename one of them; of blueprints, write a variable of theirs into the name"
            message = f"{name} is defined twice in {by}"
        else:
            message, hint = f"{name} is defined by {other[0]} and by {by}", "rename one of them"
        self.problems.add(DuplicateAsset(message, asset=name, where=where, hint=hint))
        return False

    def _seed_file(self, path: str, model: ParsedModel) -> str | None:
        """The file that ``kind SEED (path …)`` means; links in the path stay as they are."""
        assert model.seed is not None
        said = model.seed.path
        file = posixpath.normpath(
            said.removeprefix("$root/") if said.startswith("$root/") else f"{posixpath.dirname(path)}/{said}"
        )
        if file in self.seeds:
            return file
        where = Where(self.root / path, model.seed.line, model.seed.column, model.seed.length)
        near = nearest(file, list(self.seeds))
        if not file.startswith(f"{SEEDS}/"):
            hint = f"move it into {SEEDS}/"
            self.problems.add(ModelError(f"{said} doesn't lie in {SEEDS}/", asset=model.name, where=where, hint=hint))
        else:
            hint = f"did you mean {near}?" if near else "put the file there"
            self.problems.add(ModelError(f"there is no {file}", asset=model.name, where=where, hint=hint))
        return None

    # -- upstreams -----------------------------------------------------------------------------------------------------

    def _resolve(self, name: AssetName) -> list[AssetName]:
        """What a model reads, each once."""
        path, model = self.queries[name]
        found: dict[AssetName, None] = {}
        for read in model.reads:
            if read.name in self.defined:
                found[AssetName(read.name)] = None
            elif read.name not in found:
                found[AssetName(read.name)] = None
                where = Where(self.root / path, read.line, read.column, read.length)
                message, hint = f"{name} reads {read.name}, which doesn't exist", self._suggest(name, read)
                self.problems.add(UnknownUpstream(message, asset=name, where=where, hint=hint))
        return list(found)

    def _add_audits(self) -> None:
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
                        self._unknown_read(name, path, model, audit, read)
            if found:
                self._audits[name] = found

    def _unknown_read(self, name: AssetName, path: str, model: ParsedModel, audit: Audit, read: AssetName) -> None:
        call = next(c for c in calls(model) if c.name == audit.name)
        near = nearest(read, list(self.defined))
        hint = f"did you mean {near}?" if near else "declare it under sources: in anabranch.yaml"
        message = f"the audit {audit.name} of {name} reads {read}, which doesn't exist"
        self.problems.add(UnknownUpstream(message, asset=name, where=Where(self.root / path, *call.at), hint=hint))

    def _suggest(self, name: AssetName, read: Read) -> str:
        schema, last = read.name.split(".")[-2:]
        if read.name in self._disabled:
            return f"{self._disabled[read.name]} says enabled false"
        if len(read.name.split(".")) > 2 and f"{schema}.{last}" in self.defined:
            return f"write {schema}.{last}: names here have no catalog"
        if read.bare:
            same = [n for n in self.defined if n.rpartition(".")[2] == last and n != name]
            if len(same) == 1:
                return f"did you mean {same[0]}? A name without a schema stands in {self.settings.default_schema}"
        near = nearest(read.name, [n for n in self.defined if n != name])
        if near:
            return f"did you mean {near}?"
        return "declare it under sources: in anabranch.yaml, if something else makes it"

    def _ordered(self, reads: Mapping[AssetName, list[AssetName]]) -> list[AssetName]:
        try:
            return order(reads)
        except Cycle as cycle:
            raise self._circle(cycle.path) from cycle

    def _circle(self, path: list[str]) -> DependencyCycle:
        places: list[Where] = []
        lines: list[str] = []
        for name, upstream in pairwise(path):
            file, model = self.queries[AssetName(name)]
            read = next(r for r in model.reads if r.name == upstream)
            places.append(Where(self.root / file, read.line, read.column, read.length))
            lines.append(f"  {file}:{read.line}:{read.column}  {name} reads {upstream}")
        if len(path) == 2:
            message, hint = f"{path[0]} reads itself", "read what it is made from instead"
        else:
            message = "\n".join([f"models read each other in a circle: {' → '.join(path)}", *lines])
            hint = "take one of these reads out"
        return DependencyCycle(message, asset=path[0], where=places[0], hint=hint)

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
