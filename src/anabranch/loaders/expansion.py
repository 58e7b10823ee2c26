"""What the text of models depends on besides their files, and where a cache keeps what they said.

A file with macros is known in two steps. Under its content stands what it *used*: variables, macros, the environment's
name, columns. Under its content and the values that these have now stands what was parsed. So a variable that changes
makes only those files be parsed again that use it. What was used may itself depend on a value (``@IF(@a, @b, @c)``);
therefore the last few sets of used names are kept, and each stands for the values that led to it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from anabranch.domain.ids import canonical, digest
from anabranch.domain.names import AssetName
from anabranch.loaders.macro_files import MacroFiles
from anabranch.loaders.settings import NativeSettings
from anabranch.sql.macros.scope import Surroundings, Use
from anabranch.sql.parsed import ParsedModel, decode, encode

KEPT = 8
"""So many sets of used names are kept for one content."""
_USES = '{"uses":'


class Expansion:
    """One load's surroundings. ``seeds``: files by asset; ``salt``: what all parsing depends on; ``files``:
    hashes of all files, by path."""

    def __init__(
        self,
        root: Path,
        settings: NativeSettings,
        environment: str,
        macros: MacroFiles,
        seeds: Mapping[str, str],
        salt: bytes,
        files: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._root = root
        self._settings = settings
        self._environment = environment
        self._macros = macros
        self._seeds = seeds
        self._salt = salt
        self._files = files
        self._variables = settings.variables_in(environment)
        self._columns: dict[str, tuple[str, ...] | None] = {}

    def surroundings(self) -> Surroundings:
        """What macros may ask for."""
        return Surroundings(
            dialect=self._settings.dialect,
            default_schema=self._settings.default_schema,
            variables=self._variables,
            environment=self._environment,
            gateway=self._settings.salt or self._settings.dialect,
            python=self._macros.python,
            jinja=self._macros.jinja(),
            columns=self.columns,
        )

    # -- columns ---------------------------------------------------------------------------------------------------
    def learn(self, name: str, model: ParsedModel) -> None:
        """Takes in a model's columns."""
        self._columns[name] = model.columns

    def columns(self, name: str) -> Sequence[str] | None:
        """The columns of an asset; None where they aren't known, or not yet."""
        if name in self._columns:
            return self._columns[name]
        source = self._settings.sources.get(AssetName(name))
        if source is not None:
            return tuple(source.columns) or None
        if name in self._seeds:
            self._columns[name] = _heading(self._root / self._seeds[name])
            return self._columns[name]
        return None

    # -- keys ------------------------------------------------------------------------------------------------------
    def key(self, content: str, uses: Iterable[Use]) -> str:
        """Where what was parsed is kept, for the values that ``uses`` have now. Raises ``ModelError``."""
        said = [[kind, name, self._value(kind, name)] for kind, name in sorted(uses)]
        return digest(self._salt + content.encode() + b"\0" + canonical(said))

    def _value(self, kind: str, name: str) -> object:
        match kind:
            case "var":
                return [self._variables[name]] if name in self._variables else []
            case "env":
                return self._environment
            case "macro":
                return self._macros.macro_key(name)
            case "jinja":
                return self._macros.jinja_key
            case "module":
                return self._files.get(name)
            case _:
                return self.columns(name)

    def is_known(self, uses: Iterable[Use]) -> bool:
        """Whether all columns are known that are needed."""
        return all(self.columns(name) is not None for kind, name in uses if kind == "columns")

    # -- notes -----------------------------------------------------------------------------------------------------
    def noted(self, models: Sequence[ParsedModel], uses: Collection[Use]) -> list[ParsedModel]:
        """The models, with a note for each variable that isn't the same in all environments."""
        names = sorted(name for kind, name in uses if kind == "var" and name in self._settings.overridden)
        notes = tuple(f"depends on the environment through @{name}" for name in names)
        return [replace(m, notes=(*m.notes, *notes)) for m in models] if notes else list(models)


def write_uses(uses: Collection[Use], before: Sequence[Collection[Use]]) -> str:
    """As the cache keeps it: the newest first."""
    kept = [sorted(uses), *(sorted(b) for b in before if sorted(b) != sorted(uses))][:KEPT]
    return json.dumps({"uses": kept}, separators=(",", ":"))


def read_uses(text: str | None) -> list[list[Use]]:
    """The inverse of :func:`write_uses`; nothing for another text."""
    if not isinstance(text, str) or not text.startswith(_USES):
        return []
    try:
        return [[(str(kind), str(name)) for kind, name in uses] for uses in json.loads(text)["uses"]]
    except (ValueError, TypeError, KeyError):
        return []


def write_models(models: Sequence[ParsedModel]) -> str:
    """As the cache keeps the models of one file."""
    return json.dumps([encode(m) for m in models], ensure_ascii=False)


def read_models(text: str | None) -> list[ParsedModel] | None:
    """The inverse of :func:`write_models`; None for another text."""
    try:
        return [decode(each) for each in json.loads(text)] if text is not None else None
    except (ValueError, TypeError):  # damaged, or written by something else
        return None


def _heading(path: Path) -> tuple[str, ...] | None:
    """The names in the first line of a seed."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return tuple(next(csv.reader(file), ())) or None
    except (OSError, UnicodeDecodeError, csv.Error):  # told where the seed is loaded
        return None
