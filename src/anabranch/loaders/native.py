"""Projects of files: ``models/**/*.sql``, ``models/**/*.py``, ``seeds/**/*.csv`` and ``audits/**/*.sql``.

A model is parsed once for each content; what is known from before comes from the cache, and then neither the files
nor sqlglot are touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from anabranch.domain.ids import canonical, digest
from anabranch.domain.lineage import Lineage
from anabranch.domain.names import AssetName
from anabranch.domain.restated import Restated
from anabranch.domain.snapshot import Snapshot
from anabranch.errors import ModelError, ProjectError
from anabranch.loaders import former
from anabranch.loaders.analyses import Analyses, analysis_key, header_key
from anabranch.loaders.assemble import Assembly
from anabranch.loaders.audits import AUDITS, Auditing
from anabranch.loaders.cache import ParseCache
from anabranch.loaders.expansion import Expansion, read_uses
from anabranch.loaders.files import Contents, scan
from anabranch.loaders.lineage import lineage_of
from anabranch.loaders.macro_files import SUFFIXES, MacroFiles
from anabranch.loaders.macro_index import FOLDER
from anabranch.loaders.naming import MODELS, SEEDS
from anabranch.loaders.parsing import PYTHON, Parsing, identity, likely_name
from anabranch.loaders.problems import Problems
from anabranch.loaders.python_code import LIBRARY
from anabranch.loaders.remarks import remarks_of
from anabranch.loaders.settings import NativeSettings, SeedSettings, SourceSettings
from anabranch.ports.loader import NOTHING, Project
from anabranch.sql.audits.calls import Definition, decode_file, encode_file
from anabranch.sql.parsed import ParsedModel, decode
from anabranch.sql.version import parser_version

_FOLDERS = tuple(f"{folder}/" for folder in (MODELS, SEEDS, AUDITS, FOLDER, LIBRARY))
__all__ = ["NativeLoader", "NativeSettings", "SeedSettings", "SourceSettings"]


@dataclass(slots=True)
class _Seen:
    """The project's files at one moment."""

    contents: Contents
    models: list[str]
    seeds: list[str]
    audits: list[str]
    macros: list[str]
    library: list[str]
    """What models in Python may import."""

    @property
    def all(self) -> list[str]:
        """All that decides what the assets are."""
        return [*self.models, *self.seeds, *self.audits, *self.macros, *self.library]


class NativeLoader:
    """Implements :class:`anabranch.ports.loader.Loader`."""

    def __init__(self, root: Path, settings: NativeSettings, cache: ParseCache) -> None:
        self._root = root.absolute()
        self._settings = settings
        self._cache = cache
        self._version = parser_version()
        self._salt = canonical([self._version, settings.dialect, settings.default_schema])
        self._macros_salt = self._salt + canonical([settings.salt])
        self._last: tuple[Mapping[AssetName, Restated], Project] | None = None

    @property
    def root(self) -> Path:
        return self._root

    def digest(self, environment: str = "") -> str:
        """As :meth:`load` would give it. Raises ``ModelError`` where a file can't be read."""
        seen = self._look(keep=False)
        self._learn(seen, {})
        return self._digest(seen, environment)

    def load(self, environment: str = "", restated: Mapping[AssetName, Restated] = NOTHING) -> Project:
        """All assets, as they are in ``environment``.

        Raises:
            ModelError: with the file, the line, the asset and what to do; the message tells of further mistakes.
            InvalidName: a file or a header gives a name that can't become an identifier.
        """
        seen = self._look(keep=True)
        if (
            self._last is not None
            and self._last[0] == restated
            and self._last[1].digest == self._digest(seen, environment)
        ):
            self._learn(seen, {})
            return self._last[1]
        problems = Problems(self._root)
        assembly = self._assembly(seen, environment, problems)
        assembly.restated = restated
        assets = self._assembled(assembly)
        found = Project(assets, self._digest(seen, environment), assembly.notes(), assembly.unanalysed, self._version)
        self._last = dict(restated), found
        return found

    def _auditing(self, files: Mapping[str, tuple[Definition, ...]], problems: Problems) -> Auditing:
        said = self._settings
        return Auditing(self._root, files, said.dialect, said.default_schema, self._salt, self._cache, problems)

    def again(self, snapshots: Mapping[AssetName, Snapshot]) -> dict[AssetName, Snapshot]:
        """What the present rules make of definitions, whatever rules made ``snapshots`` of them. Nothing where they
        can't be read by these rules any more."""
        problems = Problems(self._root)
        try:
            return self._former(snapshots, problems).assets()
        except ProjectError:
            return {}

    def lineage(self, environment: str = "") -> Lineage:
        """Who reads what, by column. Raises as :meth:`load`."""
        seen, problems = self._look(keep=True), Problems(self._root)
        assembly = self._assembly(seen, environment, problems)
        return lineage_of(assembly, self._assembled(assembly))

    def lineage_of(self, snapshots: Mapping[AssetName, Snapshot]) -> Lineage:
        """Who reads what among ``snapshots``, all of one environment.

        Raises:
            ProjectError: their definitions can't be read by the present rules.
        """
        assembly = self._former(snapshots, Problems(self._root))
        return lineage_of(assembly, self._assembled(assembly))

    def examine(self, environment: str = "") -> Project:
        """As :meth:`load`, with remarks."""
        seen, problems = self._look(keep=True), Problems(self._root)
        assembly = self._assembly(seen, environment, problems)
        assets = self._assembled(assembly)
        remarks = remarks_of(assembly, seen.contents.text)
        digest, notes = self._digest(seen, environment), assembly.notes()
        return Project(assets, digest, notes, assembly.unanalysed, self._version, remarks)

    def _former(self, snapshots: Mapping[AssetName, Snapshot], problems: Problems) -> Assembly:
        return former.assembly(snapshots, self._root, self._settings, self._analyses, problems, self._version)

    def _assembly(self, seen: _Seen, environment: str, problems: Problems) -> Assembly:
        models = self._parse(seen, environment, problems)
        hashes = seen.contents.hashes
        seeds = {path: hashes[path] for path in seen.seeds if path in hashes}
        analyses = self._analyses(models, seeds)
        audits = self._auditing(self._parse_audits(seen, problems), problems)
        return Assembly(self._root, self._settings, models, seeds, analyses, problems, self._version, audits)

    def _assembled(self, assembly: Assembly) -> dict[AssetName, Snapshot]:
        """Its assets. What was found out is kept even if something is wrong."""
        try:
            return assembly.assets()
        finally:
            fresh = assembly.audits.fresh if assembly.audits is not None else {}
            self._cache.learn(self._root, {}, (), {**assembly.analyses.fresh, **fresh})

    def _look(self, *, keep: bool) -> _Seen:
        models = scan(self._root, MODELS, (".sql", PYTHON))
        library = scan(self._root, LIBRARY, PYTHON)
        seeds = scan(self._root, SEEDS, ".csv")
        macros = scan(self._root, FOLDER, SUFFIXES)
        contents = Contents(self._root, self._cache.files(self._root), self._cache.now)
        contents.look(models, keep=keep)
        contents.look(seeds, keep=False)
        contents.look(macros, keep=False)
        contents.look(library, keep=False)
        audits = scan(self._root, AUDITS, ".sql")
        contents.look(audits, keep=keep)
        return _Seen(contents, sorted(models), sorted(seeds), sorted(audits), sorted(macros), sorted(library))

    def _parse(self, seen: _Seen, environment: str, problems: Problems) -> dict[str, list[ParsedModel]]:
        """All models that are still there. What is parsed anew is kept even if other files are wrong."""
        hashes = seen.contents.hashes
        keys = {path: self._key(identity(path, hashes[path])) for path in seen.models if path in hashes}
        macros = MacroFiles(self._root, {p: hashes[p] for p in seen.macros if p in hashes}, seen.contents.text)
        known = self._cache.parsed({*keys.values(), macros.key})
        is_indexed = macros.remember(known.get(macros.key))
        expansion = self._expansion(seen, environment, macros)
        parsing = Parsing(self._root, self._settings, self._cache, self._key, seen.contents, expansion, problems)
        for path, key in keys.items():
            model = _decoded(known.get(key))
            if model is not None:
                parsing.take(path, [model])
            else:
                parsing.waiting[path] = read_uses(known.get(key))
        parsing.run()
        if macros.is_indexed and not is_indexed:
            parsing.fresh[macros.key] = macros.said()
        self._learn(seen, parsing.fresh)
        return parsing.found

    def _parse_audits(self, seen: _Seen, problems: Problems) -> dict[str, tuple[Definition, ...]]:
        """What the audit files define."""
        hashes = seen.contents.hashes
        keys = {path: digest(b"audits" + self._salt + hashes[path].encode()) for path in seen.audits if path in hashes}
        known = self._cache.parsed(set(keys.values())) if keys else {}
        found: dict[str, tuple[Definition, ...]] = {}
        fresh: dict[str, str] = {}
        for path, key in keys.items():
            try:
                found[path] = decode_file(known.get(key, ""))
                continue
            except ValueError:  # not known, or damaged
                text = seen.contents.text(path)
            if text is None:
                continue
            from anabranch.sql.audits.parse import parse_file  # loads sqlglot: only for what is new

            try:
                found[path] = parse_file(text, self._root / path, dialect=self._settings.dialect)
            except ModelError as error:
                problems.add(error)
            else:
                fresh[key] = encode_file(found[path])
        if fresh:
            self._cache.learn(self._root, {}, (), fresh)
        return found

    def _analyses(self, models: Mapping[str, Sequence[ParsedModel]], seeds: Mapping[str, str]) -> Analyses:
        """What is known of the models' queries, and of the columns of seeds."""
        keys = {analysis_key(m.query, self._salt) for found in models.values() for m in found if m.query}
        keys |= {header_key(content, self._version) for content in seeds.values()}
        settings = self._settings
        known = self._cache.parsed(keys)
        return Analyses(self._root, settings.dialect, settings.default_schema, self._version, known, self._salt)

    def _expansion(self, seen: _Seen, environment: str, macros: MacroFiles) -> Expansion:
        seeds = {likely_name(path, SEEDS): path for path in seen.seeds}
        return Expansion(
            self._root, self._settings, environment, macros, seeds, self._macros_salt, seen.contents.hashes
        )

    def _key(self, content: str) -> str:
        return digest(self._salt + content.encode())

    def _digest(self, seen: _Seen, environment: str) -> str:
        hashes = seen.contents.hashes
        lines = [f"{path}\0{hashes[path]}" for path in seen.all if path in hashes]
        said = self._settings.said() + canonical([environment, self._settings.variables_in(environment)])
        return digest("\n".join([self._version, *lines, ""]).encode() + said)

    def _learn(self, seen: _Seen, fresh: Mapping[str, str]) -> None:
        contents = seen.contents
        self._cache.learn(self._root, contents.news, contents.gone(_FOLDERS), fresh)


def _decoded(text: str | None) -> ParsedModel | None:
    if text is None:
        return None
    try:
        return decode(text)
    except ValueError:  # damaged, or written by something else
        return None
