"""What the properties of a model's header mean here.

SQLMesh's properties are all known: some have a meaning here, some have none and are passed over, and those that would
change what SQLMesh does are noted, so that nobody relies on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlglot import Token

from anabranch.domain.names import nearest
from anabranch.domain.snapshot import Kind
from anabranch.errors import ModelError, SqlSyntaxError
from anabranch.sql.header import Property
from anabranch.sql.parsed import SeedFile
from anabranch.sql.syntax import Source
from anabranch.sql.words import word_set

KINDS = {"FULL": Kind.FULL, "VIEW": Kind.VIEW, "SEED": Kind.SEED, "EMBEDDED": Kind.EMBEDDED}
LATER_KINDS = {
    "INCREMENTAL_BY_TIME_RANGE": "FULL builds the same rows, all of them each time",
    "INCREMENTAL_BY_UNIQUE_KEY": "FULL builds the same rows, all of them each time",
    "INCREMENTAL_BY_PARTITION": "FULL builds the same rows, all of them each time",
    "INCREMENTAL_UNMANAGED": "declare the table under sources: in anabranch.yaml, and keep loading it as now",
    "INCREMENTAL": "FULL builds the same rows, all of them each time",
    "SCD_TYPE_2": "declare the table under sources: in anabranch.yaml, and keep loading it as now",
    "SCD_TYPE_2_BY_TIME": "declare the table under sources: in anabranch.yaml, and keep loading it as now",
    "SCD_TYPE_2_BY_COLUMN": "declare the table under sources: in anabranch.yaml, and keep loading it as now",
    "MANAGED": "FULL builds the same rows",
    "CUSTOM": "FULL builds a table from the query",
}
"""Kinds that SQLMesh knows, and what to do until they are known here."""

USED = ("name", "kind", "description", "owner", "grain", "grains", "tags", "dialect", "enabled", "depends_on", "stamp")
NOTED = {
    "audits": "audits aren't run yet",
    "columns": "types declared in columns (…) aren't enforced",
    "cron": "cron isn't used: a model is refreshed when it is asked for",
    "start": "start isn't used: FULL and VIEW have no intervals",
    "end": "end isn't used: FULL and VIEW have no intervals",
    "gateway": "gateway isn't used: a project has one warehouse",
    "grants": "grants aren't set",
    "session_properties": "session_properties aren't set",
    "signals": "signals aren't waited for",
    "retention": "retention isn't used: history is kept as anabranch.yaml says",
    "virtual_environment_mode": "virtual_environment_mode isn't used: every environment is virtual",
}
"""Understood, without effect, and worth telling."""
PASSED_OVER = word_set(
    """allow_partials clustered_by column_descriptions cron_tz default_catalog formatting ignored_rules interval_unit
    optimize_query partitioned_by physical_properties physical_version project references storage_format
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
    notes: list[str] = field(default_factory=list)
    seed: SeedFile | None = None
    enabled: bool = True
    stamp: str = ""
    depends_on: list[tuple[str, Sequence[Token]]] = field(default_factory=list)


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
    return meaning


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
                raise _wrong(source, each, message, f"write it for {source.dialect}, and drop dialect")
        case "enabled":
            meaning.enabled = each.flag()
        case "stamp":
            meaning.stamp = each.text()
        case "depends_on":
            meaning.depends_on = [(n, t) for n, t in zip(each.names(), each.items(), strict=True)]
        case _:
            meaning.properties[each.key] = each.text()


def _kind(each: Property, meaning: Meaning, source: Source) -> None:
    first = each.value[0]
    word = source.text[first.start : first.end + 1].upper()
    if word in LATER_KINDS:
        raise _wrong(source, each, f"kind {word} isn't supported yet", LATER_KINDS[word], first)
    if word == "EXTERNAL":
        hint = "declare the table under sources: in anabranch.yaml, and delete the file"
        raise _wrong(source, each, "an EXTERNAL model isn't a file here", hint, first)
    if word not in KINDS:
        near = nearest(word, [*KINDS, *LATER_KINDS])
        hint = f"did you mean {near}?" if near else f"kinds are {', '.join(KINDS)}"
        raise _wrong(source, each, f"there is no kind {word}", hint, first)
    meaning.kind = KINDS[word]
    options = {o.key: o for o in each.options()}
    if meaning.kind is Kind.SEED:
        _seed(each, options, meaning, source)
    elif "materialized" in options and options["materialized"].flag():
        meaning.notes.append("VIEW (materialized) is a plain view here; FULL makes a table")


def _seed(each: Property, options: dict[str, Property], meaning: Meaning, source: Source) -> None:
    if "csv_settings" in options:
        said = options["csv_settings"]
        hint = "save the file with commas, double quotes and a line of names"
        raise _wrong(source, said, "csv_settings isn't supported yet", hint, said.key_token)
    if "path" not in options:
        raise _wrong(source, each, "a SEED needs the path of its file", "write kind SEED (path '../seeds/name.csv')")
    said = options["path"]
    first = said.value[0]
    meaning.seed = SeedFile(said.text(), {}, *source.span(first.start, said.value[-1].end + 1))


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


def _wrong(source: Source, each: Property, message: str, hint: str, at: Token | None = None) -> ModelError:
    first, last = (at, at) if at else (each.value[0], each.value[-1])
    return source.error(ModelError, message, first.start, last.end + 1, hint)
