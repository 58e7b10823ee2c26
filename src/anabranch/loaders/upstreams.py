"""What the models of a project read: whether it exists, and in which order they are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from anabranch.domain.audit import Audit
from anabranch.domain.graph import Cycle, order
from anabranch.domain.names import AssetName, nearest
from anabranch.errors import DependencyCycle, UnknownUpstream, Where
from anabranch.loaders.audits import calls
from anabranch.loaders.naming import Naming
from anabranch.sql.parsed import ParsedModel, Read


@dataclass(frozen=True, slots=True)
class Upstreams:
    """The upstreams of ``queries``, which are models with their files."""

    naming: Naming
    queries: Mapping[AssetName, tuple[str, ParsedModel]]

    def of(self, name: AssetName) -> list[AssetName]:
        """What a model reads, each once."""
        path, model = self.queries[name]
        found: dict[AssetName, None] = {}
        for read in model.reads:
            if read.name in self.naming.defined:
                found[AssetName(read.name)] = None
            elif read.name not in found:
                found[AssetName(read.name)] = None
                where = Where(self.naming.root / path, read.line, read.column, read.length)
                message, hint = f"{name} reads {read.name}, which doesn't exist", self._suggest(name, read)
                self.naming.problems.add(UnknownUpstream(message, asset=name, where=where, hint=hint))
        return list(found)

    def refuse_audit(self, name: AssetName, path: str, model: ParsedModel, audit: Audit, read: AssetName) -> None:
        """An audit reads what doesn't exist."""
        call = next(c for c in calls(model) if c.name == audit.name)
        near = nearest(read, list(self.naming.defined))
        hint = f"did you mean {near}?" if near else "declare it under sources: in anabranch.yaml"
        message = f"the audit {audit.name} of {name} reads {read}, which doesn't exist"
        self.naming.problems.add(
            UnknownUpstream(message, asset=name, where=Where(self.naming.root / path, *call.at), hint=hint)
        )

    def _suggest(self, name: AssetName, read: Read) -> str:
        schema, last = read.name.split(".")[-2:]
        if read.name in self.naming.disabled:
            return f"{self.naming.disabled[read.name]} says enabled false"
        if len(read.name.split(".")) > 2 and f"{schema}.{last}" in self.naming.defined:
            return f"write {schema}.{last}: names here have no catalog"
        if read.bare:
            same = [n for n in self.naming.defined if n.rpartition(".")[2] == last and n != name]
            if len(same) == 1:
                return f"did you mean {same[0]}? A name without a schema stands in {self.naming.default_schema}"
        near = nearest(read.name, [n for n in self.naming.defined if n != name])
        if near:
            return f"did you mean {near}?"
        return "declare it under sources: in anabranch.yaml, if something else makes it"

    def ordered(self, reads: Mapping[AssetName, list[AssetName]]) -> list[AssetName]:
        """All of ``reads``, upstreams first.

        Raises:
            DependencyCycle: there is no such order.
        """
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
            places.append(Where(self.naming.root / file, read.line, read.column, read.length))
            lines.append(f"  {file}:{read.line}:{read.column}  {name} reads {upstream}")
        if len(path) == 2:
            message, hint = f"{path[0]} reads itself", "read what it is made from instead"
        else:
            message = "\n".join([f"models read each other in a circle: {' → '.join(path)}", *lines])
            hint = "take one of these reads out"
        return DependencyCycle(message, asset=path[0], where=places[0], hint=hint)
