"""Which names the files of a project give to assets, and which file defines which."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from anabranch.domain.names import AssetName, asset_name, nearest
from anabranch.errors import DuplicateAsset, InvalidName, ModelError, Where
from anabranch.loaders.problems import Problems
from anabranch.sql.parsed import ParsedModel

MODELS, SEEDS = "models", "seeds"
RESERVED_SCHEMAS = frozenset(["information_schema", "pg_catalog"])


@dataclass(slots=True)
class Naming:
    """The names of a project, as its files are looked at. What is wrong with one goes to ``problems``."""

    root: Path
    default_schema: str
    seeds: Mapping[str, str]
    """Content hashes, by path."""
    problems: Problems
    defined: dict[AssetName, tuple[str, Where | None]] = field(default_factory=dict)
    """What defines each asset, and where."""
    disabled: dict[str, str] = field(default_factory=dict)
    """Models that aren't to be there, with their files."""

    def of_model(self, path: str, model: ParsedModel) -> AssetName | None:
        """The name that a model says, or that its file has; None: it can't be one, which is among the problems."""
        if model.name is None:
            return self.of_path(path, MODELS, self.default_schema)
        where = Where(self.root / path, *model.name_at)
        return self._name(model.name, where, f"{path} names its model {model.name!r}")

    def of_path(self, path: str, folder: str, default_schema: str) -> AssetName | None:
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

    def claim(self, name: AssetName, by: str, where: Where | None) -> bool:
        """Whether nothing else defines it; if not, that is among the problems."""
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

    def seed_file(self, path: str, model: ParsedModel) -> str | None:
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
