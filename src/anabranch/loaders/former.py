"""Definitions of before, fingerprinted by the present rules: what is equal under them needs no rebuild."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from anabranch.domain.ids import Fingerprint
from anabranch.domain.names import AssetName
from anabranch.domain.restated import marks
from anabranch.domain.snapshot import PYTHON, Function, Kind, SeedSource, Snapshot
from anabranch.loaders.analyses import Analyses
from anabranch.loaders.assemble import Assembly
from anabranch.loaders.problems import Problems
from anabranch.loaders.settings import NativeSettings, SourceSettings
from anabranch.sql.parsed import ParsedModel, Read, SeedFile

Known = Callable[[Mapping[str, Sequence[ParsedModel]], Mapping[str, str]], Analyses]


def assembly(
    snapshots: Mapping[AssetName, Snapshot],
    root: Path,
    settings: NativeSettings,
    known: Known,
    problems: Problems,
    rules: str,
) -> Assembly:
    """The definitions of ``snapshots``, which are all of an environment, to be assembled by the present rules.

    Raises:
        ProjectError: they can't be read by these rules. So may what the assembly does.
    """
    models: dict[str, list[ParsedModel]] = {}
    seeds: dict[str, str] = {}
    sources: dict[AssetName, SourceSettings] = {}
    for asset, snapshot in snapshots.items():
        definition = snapshot.definition
        if snapshot.kind in (Kind.EXTERNAL, Kind.CLONE):
            columns = json.loads(definition.text)["columns"]
            sources[asset] = SourceSettings(columns, snapshot.properties.get("description", ""), snapshot.keys)
        elif snapshot.kind is Kind.SEED:
            source = SeedSource.decode(definition.text)
            seeds[definition.path] = source.content
            models[f"{definition.path}.sql"] = [_seed(snapshot, source)]
        else:
            models.setdefault(definition.path, []).append(_query(snapshot, root, settings))
    as_then = replace(settings, sources=sources, seeds={})
    found = Assembly(root, as_then, models, seeds, known(models, seeds), problems, rules)
    found.restated = marks(snapshots)
    return found


def _query(snapshot: Snapshot, root: Path, settings: NativeSettings) -> ParsedModel:
    definition = snapshot.definition
    if definition.dialect == PYTHON:
        return _function(snapshot)
    from anabranch.sql.model_file import parse_query  # loads sqlglot: only where rules have changed

    model = parse_query(
        definition.text,
        root / definition.path,
        dialect=definition.dialect,
        default_schema=settings.default_schema,
        asset=snapshot.asset,
        kind=snapshot.kind,
        properties=snapshot.properties,
    )
    seen = {read.name for read in model.reads}
    more = tuple(Read(str(u), 1, 1, 1) for u in snapshot.upstreams if u not in seen)  # depends_on
    return replace(model, reads=(*model.reads, *more))


def _function(snapshot: Snapshot) -> ParsedModel:
    return ParsedModel(
        name=snapshot.asset,
        kind=snapshot.kind,
        properties=snapshot.properties,
        query=snapshot.definition.text,
        logic=snapshot.logic,
        reads=tuple(Read(str(u), 1, 1, 1) for u in snapshot.upstreams),
        columns=tuple(Function.decode(snapshot.definition.text).columns),
    )


def _seed(snapshot: Snapshot, source: SeedSource) -> ParsedModel:
    return ParsedModel(
        name=snapshot.asset,
        kind=Kind.SEED,
        properties=snapshot.properties,
        query="",
        logic=Fingerprint(""),
        reads=(),
        columns=None,
        seed=SeedFile(f"$root/{snapshot.definition.path}", source.columns),
    )
