"""What the properties of a model's header mean here.

SQLMesh's properties are all known: some have a meaning here, some have none and are passed over, and those that would
change what SQLMesh does are noted, so that nobody relies on them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import Token

from anabranch.domain.names import nearest
from anabranch.domain.signals import PROPERTY as SIGNALS
from anabranch.domain.snapshot import HISTORY, Kind
from anabranch.errors import ModelError, SqlSyntaxError
from anabranch.sql.audits.calls import Call
from anabranch.sql.audits.parse import parse_calls
from anabranch.sql.header import Property
from anabranch.sql.kinds import understand_kind, understand_schedule, wrong
from anabranch.sql.parsed import SeedFile
from anabranch.sql.signals import read_signals
from anabranch.sql.syntax import Source
from anabranch.sql.words import word_set

USED = (
    "name", "kind", "description", "owner", "grain", "grains", "tags", "dialect", "enabled", "depends_on", "stamp",
    "cron", "start", "end", "interval_unit", "partitioned_by", "audits", "signals",
)  # fmt: skip
NOTED = {
    "columns": "types declared in columns (…) aren't enforced",
    "gateway": "gateway isn't used: a project has one warehouse",
    "grants": "grants aren't set: the engine has none",
    "session_properties": "session_properties aren't set",
    "retention": "retention isn't used: history is kept as anabranch.yaml says",
    "virtual_environment_mode": "virtual_environment_mode isn't used: every environment is virtual",
}
"""Understood, without effect, and worth telling."""
PASSED_OVER = word_set(
    """allow_partials clustered_by column_descriptions cron_tz default_catalog formatting ignored_rules
    optimize_query physical_properties physical_version project references storage_format
    table_format table_properties validate_query virtual_properties"""
)
"""Understood, and without a bearing on what is built here."""


@dataclass(slots=True)
class Meaning:
    """What a header says; the defaults are those of a file without one."""

    name: str | None = None
    name_at: tuple[int, int, int] = (1, 1, 1)
    kind: Kind = Kind.FULL
    properties: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    """Of the kind and the schedule."""
    partitioned_by: Property | None = None
    notes: list[str] = field(default_factory=list)
    seed: SeedFile | None = None
    enabled: bool = True
    stamp: str = ""
    depends_on: list[tuple[str, Sequence[Token]]] = field(default_factory=list)
    audits: tuple[Call, ...] = ()
    named: list[tuple[str, str, Token]] = field(default_factory=list)
    """Columns that the query must have: what names each, the column, and where."""
    kind_at: tuple[int, int] = (0, 1)
    """Where the kind stands: an offset, and the one behind it."""


def understand(found: Sequence[Property], source: Source) -> Meaning:
    """The meaning of a header.

    Raises:
        SqlSyntaxError: an unknown property, or a value that can't be read.
        ModelError: a kind that is unknown or comes later, or another dialect.
    """
    meaning = Meaning()
    columns: dict[str, str] = {}
    for each in found:
        if each.key == "columns":
            columns = _columns(each)
        if each.key in NOTED:
            meaning.notes.append(NOTED[each.key])
        elif each.key in USED:
            _use(each, meaning, source)
        elif each.key == "blueprints":
            raise each.error("blueprints aren't supported", "write one file a model", [each.key_token])
        elif each.key not in PASSED_OVER:
            near = nearest(each.key, [*USED, *NOTED, *PASSED_OVER])
            hint = f"did you mean {near}?" if near else f"known are {', '.join(USED)} and those of SQLMesh"
            raise each.error(f"a model has no property {each.key}", hint, [each.key_token])
    if meaning.kind is Kind.SEED:
        meaning.seed = _with_columns(meaning.seed, columns)
        if NOTED["columns"] in meaning.notes:
            meaning.notes.remove(NOTED["columns"])
    _settle(meaning, source, {each.key: each for each in found})
    return meaning


def require_columns(meaning: Meaning, columns: Sequence[str] | None, source: Source) -> None:
    """Raises ``ModelError`` where ``columns``, the query's, are known, and lack one that its kind names."""
    there = {c.lower(): c for c in columns or ()}
    _check_validity(meaning, there, source)
    for by, column, token in meaning.named if there else ():
        if column not in there:
            near = nearest(column, list(there))
            hint = f"did you mean {near}?" if near else f"its columns are {', '.join(there.values())}"
            message = f"{source.asset or 'the query'} has no column {column}, which {by} names"
            raise source.error(ModelError, message, token.start, token.end + 1, hint)


def _check_validity(meaning: Meaning, columns: Collection[str], source: Source) -> None:
    """Raises ``ModelError`` where a history's query gives a column that the history adds."""
    if meaning.kind not in HISTORY:
        return
    for key in ("valid_from", "valid_to"):
        name = meaning.settings.get(f"{key}_name", key)
        if name in columns:
            message = f"{source.asset or 'the query'} gives a column {name}, and its history adds one of that name"
            hint = f"call the query's otherwise, or say {key}_name in the kind"
            raise source.error(ModelError, message, *meaning.kind_at, hint)


def _settle(meaning: Meaning, source: Source, found: Mapping[str, Property]) -> None:
    """What only all properties together tell."""
    _settle_columns(meaning, found)
    if "end" in found and "start" in found and int(meaning.settings["end"]) <= int(meaning.settings["start"]):
        message = f"end {found['end'].text()} lies before start {found['start'].text()}"
        raise wrong(source, found["end"], message, "nothing would ever be due: correct one of them")
    said = meaning.partitioned_by
    if said is not None and meaning.kind is Kind.BY_PARTITION:
        meaning.settings["partitioned_by"] = ",".join(_partitions(said))
    elif meaning.kind is Kind.BY_PARTITION:
        raise source.error(
            ModelError,
            "INCREMENTAL_BY_PARTITION needs partitioned_by",
            hint="name the columns whose values tell partitions apart",
        )
    if meaning.kind is Kind.BY_TIME_RANGE and "start" not in meaning.settings:
        raise source.error(
            ModelError,
            "INCREMENTAL_BY_TIME_RANGE needs a start",
            hint="say from which day on it has rows: start '2024-01-01'",
        )
    meaning.properties |= meaning.settings


def _settle_columns(meaning: Meaning, found: Mapping[str, Property]) -> None:
    options = {o.key: o for o in found["kind"].options()} if "kind" in found else {}
    for key in ("time_column", "unique_key", "updated_at_name", "columns"):
        if key not in options or meaning.settings.get("tracked" if key == "columns" else key) in (None, "*"):
            continue
        items = options[key].items()
        if not items:
            raise options[key].error(f"{key} names no column", "name a column of the query")
        named = items[:1] if key == "time_column" else items
        for item in named:
            column = Property(options[key].source, key, options[key].key_token, item).name().lower()
            meaning.named.append((key, column, item[0]))
    if meaning.kind is Kind.SCD_TYPE_2_BY_TIME and "updated_at_name" not in options:
        meaning.named.append(("its kind without an updated_at_name", "updated_at", found["kind"].value[0]))
    if meaning.kind is Kind.BY_PARTITION and meaning.partitioned_by is not None:
        said = meaning.partitioned_by
        if not said.items():
            raise said.error("partitioned_by names no column", "name a column of the query")
        meaning.named += [
            ("partitioned_by", name, item[0]) for name, item in zip(_partitions(said), said.items(), strict=True)
        ]


def _partitions(said: Property) -> list[str]:
    names = [n.lower() for n in said.names()]
    if any("." in n for n in names):
        raise said.error("partitioned_by takes columns of the query")
    return names


def _use(each: Property, meaning: Meaning, source: Source) -> None:
    match each.key:
        case "name":
            meaning.name = each.name().lower()
            meaning.name_at = source.span(each.value[0].start, each.value[-1].end + 1)
        case "kind":
            _kind(each, meaning, source)
        case "grain" | "grains":
            _grain(each, meaning)
        case "tags":
            meaning.properties["tags"] = ",".join(_words(each))
        case "dialect":
            if each.text().lower() != source.dialect:
                message = f"the model is written for {each.text()}, the warehouse speaks {source.dialect}"
                raise wrong(source, each, message, f"write it for {source.dialect}, and drop dialect")
        case "enabled":
            meaning.enabled = each.flag()
        case "audits":
            meaning.audits = parse_calls(each)
        case "stamp":
            meaning.stamp = meaning.properties["stamp"] = each.text()
        case "cron" | "start" | "end" | "interval_unit":
            meaning.settings |= understand_schedule(each, source)
        case "partitioned_by":
            meaning.partitioned_by = each
        case "signals":
            meaning.properties[SIGNALS] = read_signals(each)
        case "depends_on":
            meaning.depends_on = [(n, t) for n, t in zip(each.names(), each.items(), strict=True)]
        case _:
            meaning.properties[each.key] = each.text()


def _kind(each: Property, meaning: Meaning, source: Source) -> None:
    told = understand_kind(each, source)
    meaning.kind_at = each.value[0].start, each.value[0].end + 1
    meaning.kind, meaning.seed = told.kind, told.seed
    meaning.settings |= told.settings
    meaning.notes += told.notes


def _with_columns(seed: SeedFile | None, columns: dict[str, str]) -> SeedFile | None:
    return SeedFile(seed.path, columns, seed.line, seed.column, seed.length) if seed else None


def _columns(each: Property) -> dict[str, str]:
    """``columns (id INT, name TEXT)``."""
    found: dict[str, str] = {}
    for item in each.items():
        if len(item) < 2:
            raise each.error("columns takes names with types", "write columns (id INT, name TEXT)", item)
        text = each.source.text
        name = item[0].text if item[0].text else text[item[0].start : item[0].end + 1]
        found[name.lower()] = text[item[1].start : item[-1].end + 1]
    return found


def _grain(each: Property, meaning: Meaning) -> None:
    """The first grain is the key; an expression can't be one."""
    try:
        items = each.items()
        if each.key == "grains":
            items = Property(each.source, each.key, each.key_token, items[0]).items()
        names = [Property(each.source, each.key, each.key_token, i).name().lower() for i in items]
    except SqlSyntaxError:
        meaning.notes.append("a grain that isn't made of columns is no key")
        return
    meaning.properties["key"] = ",".join(n.rpartition(".")[2] for n in names)


def _words(each: Property) -> list[str]:
    return [Property(each.source, each.key, each.key_token, i).text().strip('"') for i in each.items()]
