"""Parses the files of a project that aren't known by their content alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from anabranch.errors import ModelError
from anabranch.loaders.cache import ParseCache
from anabranch.loaders.expansion import Expansion, read_models, write_models, write_uses
from anabranch.loaders.files import Contents
from anabranch.loaders.problems import Problems
from anabranch.loaders.settings import NativeSettings
from anabranch.sql.macros.scope import ColumnsUnknown, Use
from anabranch.sql.parsed import ParsedModel, encode

if TYPE_CHECKING:
    from anabranch.sql.macros.stage import ParsedFile

PYTHON = ".py"


@dataclass(slots=True)
class Parsing:
    """Files that aren't known by their content alone: in rounds, for a macro may need the columns of other models.
    ``waiting``: the names that each file used when it was parsed before."""

    root: Path
    settings: NativeSettings
    cache: ParseCache
    key: Callable[[str], str]
    """Where the cache keeps what a file of some content says, or what it uses."""
    contents: Contents
    expansion: Expansion
    problems: Problems
    waiting: dict[str, list[list[Use]]] = field(default_factory=dict)
    found: dict[str, list[ParsedModel]] = field(default_factory=dict)
    fresh: dict[str, str] = field(default_factory=dict)

    def take(self, path: str, models: Sequence[ParsedModel], uses: Collection[Use] = ()) -> None:
        """A file is known."""
        self.found[path] = self.expansion.noted(models, uses)
        for model in models:
            self.expansion.learn(model.name or likely_name(path, self.settings.default_schema), model)

    def run(self) -> None:
        """Gives each waiting file its models, or adds a problem."""
        last = False
        while self.waiting:
            before = len(self.waiting)
            self._round(last)
            last = len(self.waiting) == before

    def _round(self, last: bool) -> None:
        expansion = self.expansion
        candidates: dict[str, dict[str, list[Use]]] = {}
        for path, alternatives in self.waiting.items():
            try:
                ready = [uses for uses in alternatives if last or expansion.is_known(uses)]
                candidates[path] = {expansion.key(self._content(path), uses): uses for uses in ready}
            except ModelError:  # told when the file is parsed
                candidates[path] = {}
        known = self.cache.parsed({key for keys in candidates.values() for key in keys})
        for path, keys in candidates.items():
            hit = next((key for key in keys if read_models(known.get(key)) is not None), None)
            if hit is not None:
                self.take(path, read_models(known[hit]) or [], keys[hit])
            elif (not last and self.waiting[path] and not keys) or not self._parse(path, last):
                continue
            del self.waiting[path]

    def _parse(self, path: str, last: bool) -> bool:
        """Whether the file is done with."""
        try:
            parsed = self._read(path)
            if parsed is None:
                return True
        except ColumnsUnknown as error:
            if last:
                self.problems.add(error)
            return last
        except ModelError as error:
            self.problems.add(error)
            return True
        content = self._content(path)
        key = self.key(content)
        if not parsed.uses and len(parsed.models) == 1:
            self.fresh[key] = encode(parsed.models[0])
        else:
            self.fresh[key] = write_uses(parsed.uses, self.waiting[path])
            self.fresh[self.expansion.key(content, parsed.uses)] = write_models(parsed.models)
        self.take(path, parsed.models, parsed.uses)
        return True

    def _content(self, path: str) -> str:
        return identity(path, self.contents.hashes[path])

    def _read(self, path: str) -> ParsedFile | None:
        """What a file says; None where it is gone. Raises ``ModelError``."""
        asset = likely_name(path, self.settings.default_schema)
        if path.endswith(PYTHON):
            return self._read_python(path, asset)
        from anabranch.sql.macros.stage import parse_file  # loads sqlglot: only for what is new

        text = self.contents.text(path)
        return None if text is None else parse_file(text, self.root / path, self.expansion.surroundings(), asset)

    def _read_python(self, path: str, asset: str) -> ParsedFile:
        from anabranch.loaders.python_code import Reach
        from anabranch.loaders.python_models import PythonFile  # loads sqlglot, for the decorator
        from anabranch.sql.macros.stage import ParsedFile

        reach = Reach(self.root, self.contents.text, self.contents.hashes)
        dialect, schema = self.settings.dialect, self.settings.default_schema
        models, uses = PythonFile(self.root, path, asset, reach, dialect=dialect, default_schema=schema).models()
        return ParsedFile(tuple(models), frozenset(uses))


def identity(path: str, content: str) -> str:
    """What the cache knows a file by: its content; of Python also its path, by which other modules are found."""
    return f"{content}\0{path}" if path.endswith(PYTHON) else content


def likely_name(path: str, default_schema: str) -> str:
    """What a file that can't be parsed most likely defines, for its error."""
    parts = path.split("/")[1:]
    return f"{parts[0] if len(parts) > 1 else default_schema}.{parts[-1].rpartition('.')[0]}".lower()
