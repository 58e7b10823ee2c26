"""Projects of SQL files: ``models/**/*.sql``, ``seeds/**/*.csv`` and ``audits/**/*.sql``.

A model is parsed once for each content; what is known from before comes from the cache, and then neither the files
nor sqlglot are touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from anabranch.domain.ids import canonical, digest
from anabranch.errors import ModelError
from anabranch.loaders.assemble import MODELS, SEEDS, Assembly
from anabranch.loaders.audits import AUDITS, Auditing
from anabranch.loaders.cache import ParseCache
from anabranch.loaders.files import Contents, scan
from anabranch.loaders.problems import Problems
from anabranch.loaders.settings import NativeSettings, SeedSettings, SourceSettings
from anabranch.ports.loader import Project
from anabranch.sql.audits.calls import Definition, decode_file, encode_file
from anabranch.sql.parsed import ParsedModel, decode, encode
from anabranch.sql.version import parser_version

__all__ = ["NativeLoader", "NativeSettings", "SeedSettings", "SourceSettings"]


@dataclass(slots=True)
class _Seen:
    """The project's files at one moment."""

    contents: Contents
    models: list[str]
    seeds: list[str]
    audits: list[str]


class NativeLoader:
    """Implements :class:`anabranch.ports.loader.Loader`."""

    def __init__(self, root: Path, settings: NativeSettings, cache: ParseCache) -> None:
        self._root = root.absolute()
        self._settings = settings
        self._cache = cache
        self._version = parser_version()
        self._salt = canonical([self._version, settings.dialect, settings.default_schema])
        self._last: Project | None = None

    @property
    def root(self) -> Path:
        return self._root

    def digest(self) -> str:
        """As :meth:`load` would give it. Raises ``ModelError`` where a file can't be read."""
        seen = self._look(keep=False)
        self._learn(seen, {})
        return self._digest(seen)

    def load(self) -> Project:
        """All assets.

        Raises:
            ModelError: with the file, the line, the asset and what to do; the message tells of further mistakes.
            InvalidName: a file or a header gives a name that can't become an identifier.
        """
        seen = self._look(keep=True)
        if self._last is not None and self._last.digest == self._digest(seen):
            self._learn(seen, {})
            return self._last
        problems = Problems(self._root)
        models = self._parse(seen, problems)
        hashes = seen.contents.hashes
        seeds = {path: hashes[path] for path in seen.seeds if path in hashes}
        audits = self._auditing(self._parse_audits(seen, problems), problems)
        assembly = Assembly(self._root, self._settings, models, seeds, problems, audits)
        try:
            assets = assembly.assets()
        finally:
            self._cache.learn(self._root, {}, (), audits.fresh)
        self._last = Project(assets, self._digest(seen), assembly.notes())
        return self._last

    def _auditing(self, files: Mapping[str, tuple[Definition, ...]], problems: Problems) -> Auditing:
        said = self._settings
        return Auditing(self._root, files, said.dialect, said.default_schema, self._salt, self._cache, problems)

    def _look(self, *, keep: bool) -> _Seen:
        models = scan(self._root, MODELS, ".sql")
        seeds = scan(self._root, SEEDS, ".csv")
        contents = Contents(self._root, self._cache.files(self._root), self._cache.now)
        contents.look(models, keep=keep)
        contents.look(seeds, keep=False)
        audits = scan(self._root, AUDITS, ".sql")
        contents.look(audits, keep=keep)
        return _Seen(contents, sorted(models), sorted(seeds), sorted(audits))

    def _parse(self, seen: _Seen, problems: Problems) -> dict[str, ParsedModel]:
        """All models that are still there. What is parsed anew is kept even if other files are wrong."""
        hashes = seen.contents.hashes
        keys = {path: self._key(hashes[path]) for path in seen.models if path in hashes}
        known = self._cache.parsed(set(keys.values()))
        found: dict[str, ParsedModel] = {}
        fresh: dict[str, str] = {}
        for path, key in keys.items():
            model = _decoded(known.get(key))
            if model is None:
                try:
                    model = self._parse_one(seen, path, fresh)
                except ModelError as error:
                    problems.add(error)
            if model is not None:
                found[path] = model
        self._learn(seen, fresh)
        return found

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

    def _parse_one(self, seen: _Seen, path: str, fresh: dict[str, str]) -> ParsedModel | None:
        from anabranch.sql.model_file import parse_model  # loads sqlglot: only for what is new

        text = seen.contents.text(path)
        if text is None:
            return None
        model = parse_model(
            text,
            self._root / path,
            dialect=self._settings.dialect,
            default_schema=self._settings.default_schema,
            asset=_likely_name(path, self._settings.default_schema),
        )
        fresh[self._key(seen.contents.hashes[path])] = encode(model)
        return model

    def _key(self, content: str) -> str:
        return digest(self._salt + content.encode())

    def _digest(self, seen: _Seen) -> str:
        hashes = seen.contents.hashes
        lines = [f"{path}\0{hashes[path]}" for path in (*seen.models, *seen.seeds, *seen.audits) if path in hashes]
        return digest("\n".join([self._version, *lines, ""]).encode() + self._settings.said())

    def _learn(self, seen: _Seen, fresh: Mapping[str, str]) -> None:
        contents = seen.contents
        self._cache.learn(self._root, contents.news, contents.gone((f"{MODELS}/", f"{SEEDS}/", f"{AUDITS}/")), fresh)


def _decoded(text: str | None) -> ParsedModel | None:
    if text is None:
        return None
    try:
        return decode(text)
    except ValueError:  # damaged, or written by something else
        return None


def _likely_name(path: str, default_schema: str) -> str:
    """What a file that can't be parsed most likely defines, for its error."""
    parts = path.split("/")[1:]
    return f"{parts[0] if len(parts) > 1 else default_schema}.{parts[-1].rpartition('.')[0]}".lower()
