"""The audits of a project: those defined in ``audits/*.sql``, and for each model those that its file asks for.

A call is bound once for each content of call, definition and model; what is known from before comes from the cache.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from anabranch.domain import audit as values
from anabranch.domain.audit import Audit
from anabranch.domain.ids import canonical, digest
from anabranch.domain.names import AssetName
from anabranch.errors import DuplicateAsset, ModelError, Where
from anabranch.loaders.cache import ParseCache
from anabranch.loaders.problems import Problems
from anabranch.sql.audits.calls import Call, Definition, encode_calls, encode_definitions
from anabranch.sql.parsed import ParsedModel

AUDITS = "audits"
_NOTHING = "null"


@dataclass(slots=True)
class Auditing:
    """Binds the audits of models. ``files``: what the audit files define, by path; ``salt``: of all keys."""

    root: Path
    files: Mapping[str, tuple[Definition, ...]]
    dialect: str
    default_schema: str
    salt: bytes
    cache: ParseCache
    problems: Problems
    fresh: dict[str, str] = field(default_factory=dict)
    """What the cache shall learn."""
    _shared: dict[str, tuple[Path, Definition]] = field(default_factory=dict)
    _known: dict[str, str] = field(default_factory=dict)

    def begin(self, models: Mapping[AssetName, tuple[str, ParsedModel]]) -> None:
        """Looks at all definitions, and at what is known of the calls of ``models``."""
        for path, definitions in sorted(self.files.items()):
            for definition in definitions:
                if definition.name in self._shared:
                    other = self._shared[definition.name][0].relative_to(self.root)
                    where = Where(self.root / path, *definition.at)
                    message = f"the audit {definition.name} is defined in {other} and in {path}"
                    self.problems.add(DuplicateAsset(message, where=where, hint="rename one of them"))
                else:
                    self._shared[definition.name] = (self.root / path, definition)
        wanted = {self._key(n, p, m, c) for n, (p, m) in models.items() for c in calls(m)}
        self._known = self.cache.parsed(wanted) if wanted else {}

    def of(self, name: AssetName, path: str, model: ParsedModel) -> tuple[Audit, ...]:
        """The audits of one model; mistakes go to the problems."""
        found: list[Audit] = []
        for call in calls(model):
            try:
                audit = self._bound(name, path, model, call)
            except ModelError as error:
                self.problems.add(error)
                continue
            if audit is not None and audit not in found:
                found.append(audit)
        return tuple(found)

    def _bound(self, name: AssetName, path: str, model: ParsedModel, call: Call) -> Audit | None:
        key = self._key(name, path, model, call)
        known = self._known.get(key)
        if known is not None:
            return None if known == _NOTHING else values.decode(json.loads(known))
        from anabranch.sql.audits.bind import Model, bind  # loads sqlglot: only for what is new

        own = {d.name: (self.root / path, d) for d in model.audit_definitions}
        about = Model(name, self.root / path, model.columns, self.dialect, self.default_schema)
        audit = bind(call, about, {**self._shared, **own})
        self.fresh[key] = _NOTHING if audit is None else json.dumps(values.encode(audit), ensure_ascii=False)
        return audit

    def _key(self, name: AssetName, path: str, model: ParsedModel, call: Call) -> str:
        own = {d.name: d for d in model.audit_definitions}
        shared = self._shared.get(call.name)
        definition = own.get(call.name) or (shared[1] if shared else None)
        said = [name, encode_calls([call]), model.columns, encode_definitions([definition]) if definition else None]
        return digest(b"audit" + self.salt + canonical(said))


def calls(model: ParsedModel) -> tuple[Call, ...]:
    """Those that the header names, and those defined after the query that it doesn't name."""
    named = {c.name for c in model.audits}
    return (*model.audits, *(Call(d.name, {}, d.at) for d in model.audit_definitions if d.name not in named))
