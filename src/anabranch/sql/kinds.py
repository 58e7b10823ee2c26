"""``kind INCREMENTAL_BY_TIME_RANGE (time_column ds, …)``: the kinds of a model's header and their settings.

Settings become plain strings under the names of :data:`anabranch.domain.snapshot.DATA_SETTINGS` (they decide the data)
or others (they don't).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import Token, TokenType

from anabranch.domain import schedule
from anabranch.domain.ids import canonical
from anabranch.domain.intervals import Unit
from anabranch.domain.names import nearest
from anabranch.domain.snapshot import Kind
from anabranch.errors import ModelError
from anabranch.sql.header import Property
from anabranch.sql.parsed import SeedFile
from anabranch.sql.syntax import Source

KINDS = {
    "FULL": Kind.FULL,
    "VIEW": Kind.VIEW,
    "SEED": Kind.SEED,
    "EMBEDDED": Kind.EMBEDDED,
    "INCREMENTAL_BY_TIME_RANGE": Kind.BY_TIME_RANGE,
    "INCREMENTAL_BY_UNIQUE_KEY": Kind.BY_UNIQUE_KEY,
    "INCREMENTAL_BY_PARTITION": Kind.BY_PARTITION,
    "INCREMENTAL_UNMANAGED": Kind.UNMANAGED,
    "SCD_TYPE_2": Kind.SCD_TYPE_2_BY_TIME,
    "SCD_TYPE_2_BY_TIME": Kind.SCD_TYPE_2_BY_TIME,
    "SCD_TYPE_2_BY_COLUMN": Kind.SCD_TYPE_2_BY_COLUMN,
    "CUSTOM": Kind.CUSTOM,
}
LATER_KINDS = {
    "MANAGED": "FULL builds the same rows",
}
"""Kinds that SQLMesh knows, and what to do until they are known here."""

_TIMED = ("batch_size", "batch_concurrency", "lookback", "forward_only", "disable_restatement", "auto_restatement_cron")
_HISTORY = (
    "unique_key",
    "valid_from_name",
    "valid_to_name",
    "invalidate_hard_deletes",
    "time_data_type",
    "batch_size",
    "forward_only",
    "disable_restatement",
)
OPTIONS: Mapping[Kind, Sequence[str]] = {
    Kind.FULL: (),
    Kind.VIEW: ("materialized",),
    Kind.SEED: ("path", "batch_size", "csv_settings"),
    Kind.EMBEDDED: (),
    Kind.BY_TIME_RANGE: ("time_column", "partition_by_time_column", *_TIMED),
    Kind.BY_UNIQUE_KEY: ("unique_key", "when_matched", "merge_filter", *_TIMED),
    Kind.BY_PARTITION: ("forward_only", "disable_restatement"),
    Kind.UNMANAGED: ("insert_overwrite", "forward_only", "disable_restatement"),
    Kind.SCD_TYPE_2_BY_TIME: ("updated_at_name", "updated_at_as_valid_from", *_HISTORY),
    Kind.SCD_TYPE_2_BY_COLUMN: ("columns", "execution_time_as_valid_from", "updated_at_name", *_HISTORY),
    Kind.CUSTOM: ("materialization", "materialization_properties", "disable_restatement"),
}
_REFUSED = {
    "when_matched": "the whole row is replaced here: drop it, or write the merge as a query",
    "merge_filter": "drop it, or filter in the query",
    "auto_restatement_cron": "lookback fills the last intervals again",
    "csv_settings": "save the file with commas, double quotes and a line of names",
    "insert_overwrite": "INCREMENTAL_BY_PARTITION replaces whole partitions",
}


@dataclass(slots=True)
class Told:
    """What ``kind`` says."""

    kind: Kind
    settings: dict[str, str]
    notes: list[str]
    seed: SeedFile | None = None


def understand_kind(each: Property, source: Source) -> Told:
    """Raises ``ModelError`` where the kind or a setting of it isn't known, or one is missing."""
    first = each.value[0]
    word = source.text[first.start : first.end + 1].upper()
    if word in LATER_KINDS:
        raise wrong(source, each, f"kind {word} isn't supported yet", LATER_KINDS[word], first)
    if word == "EXTERNAL":
        hint = "declare the table under sources: in anabranch.yaml, and delete the file"
        raise wrong(source, each, "an EXTERNAL model isn't a file here", hint, first)
    if word not in KINDS:
        near = nearest(word, [*KINDS, *LATER_KINDS])
        hint = f"did you mean {near}?" if near else f"kinds are {', '.join(KINDS)}"
        raise wrong(source, each, f"there is no kind {word}", hint, first)
    kind = KINDS[word]
    options = {o.key: o for o in each.options()}
    told = Told(kind, {}, [])
    for name, option in options.items():
        if name not in OPTIONS[kind]:
            near = nearest(name, list(OPTIONS[kind]))
            hint = f"did you mean {near}?" if near else f"it has {', '.join(OPTIONS[kind]) or 'no settings'}"
            raise wrong(source, option, f"{word} has no setting {name}", hint, option.key_token)
        if name in _REFUSED:
            raise wrong(source, option, f"{name} isn't supported yet", _REFUSED[name], option.key_token)
        _SETTERS.get(name, _pass_over)(option, told, source)
    _require(word, each, told, source)
    if kind is Kind.SEED:
        told.settings.clear()
    return told


def understand_schedule(each: Property, source: Source) -> dict[str, str]:
    """``cron``, ``start``, ``end``, ``interval_unit`` as settings."""
    text = each.text().strip()
    match each.key:
        case "cron":
            try:
                schedule.check(text)
            except ValueError as error:
                hint = "write it as '0 7 * * *' or '@daily'"
                raise wrong(source, each, f"cron {text!r} can't be used: {error}", hint) from error
            return {"cron": text}
        case "interval_unit":
            if text.lower() not in list(Unit):
                near = nearest(text.lower(), list(Unit))
                hint = f"did you mean {near}?" if near else f"one of {', '.join(Unit)}"
                raise wrong(source, each, f"there is no interval_unit {text}", hint)
            return {"interval_unit": text.lower()}
        case _:
            try:
                at = schedule.day(text) if each.key == "start" else schedule.last_day(text)
            except ValueError as error:
                hint = "write a date: '2024-01-01'"
                raise wrong(source, each, f"{each.key} {text!r} is not a date", hint) from error
            return {each.key: str(at)}


def wrong(source: Source, each: Property, message: str, hint: str, at: Token | None = None) -> ModelError:
    """An error about a property's value, or about ``at``."""
    first, last = (at, at) if at else (each.value[0], each.value[-1])
    return source.error(ModelError, message, first.start, last.end + 1, hint)


# -- settings ------------------------------------------------------------------------------------------------------

_Setter = Callable[[Property, Told, Source], None]


def _time_column(option: Property, told: Told, source: Source) -> None:
    items = option.items()
    told.settings["time_column"] = _column(option, items[0])
    if len(items) > 1:
        said = Property(source, option.key, option.key_token, items[1]).text()
        told.settings["time_format"] = said
    if len(items) > 2:
        raise wrong(source, option, "time_column takes a column and a format", "write time_column (ds, '%Y-%m-%d')")


def _keys(option: Property, told: Told, source: Source) -> None:
    told.settings["unique_key"] = ",".join(_column(option, item) for item in option.items())


def _tracked(option: Property, told: Told, source: Source) -> None:
    if option.text().strip() in ("*", "(*)", "[*]"):
        told.settings["tracked"] = "*"
    else:
        told.settings["tracked"] = ",".join(_column(option, item) for item in option.items())


def _name(option: Property, told: Told, source: Source) -> None:
    told.settings[option.key] = _column(option, option.value)


def _number(option: Property, told: Told, source: Source) -> None:
    text = option.text().strip()
    least = 0 if option.key == "lookback" else 1
    if not text.isdigit() or int(text) < least:
        raise wrong(source, option, f"{option.key} is a whole number, {least} or more, not {text}", "write a number")
    told.settings[option.key] = text


def _flag(option: Property, told: Told, source: Source) -> None:
    if option.flag():
        told.settings[option.key] = "true"


def _materialized(option: Property, told: Told, source: Source) -> None:
    if option.flag():
        told.notes.append("VIEW (materialized) is a plain view here; FULL makes a table")


def _materialization(option: Property, told: Told, source: Source) -> None:
    told.settings[option.key] = option.text()


def _materialization_properties(option: Property, told: Told, source: Source) -> None:
    """``(a = 1, b = 'c')``."""
    found: dict[str, str] = {}
    for item in option.items():
        if len(item) < 3 or item[1].token_type is not TokenType.EQ:
            message = f"{option.key} takes names and values"
            raise wrong(source, option, message, f"write {option.key} (name = 'value')", item[0])
        name = Property(source, option.key, option.key_token, item[:1]).name()
        found[name] = Property(source, option.key, option.key_token, item[2:]).text()
    told.settings[option.key] = canonical(found).decode()


def _path(option: Property, told: Told, source: Source) -> None:
    told.seed = SeedFile(option.text(), {}, *source.span(option.value[0].start, option.value[-1].end + 1))


def _pass_over(option: Property, told: Told, source: Source) -> None:
    """Without a bearing on what is built here."""


_SETTERS: Mapping[str, _Setter] = {
    "time_column": _time_column,
    "unique_key": _keys,
    "columns": _tracked,
    "valid_from_name": _name,
    "valid_to_name": _name,
    "updated_at_name": _name,
    "lookback": _number,
    "batch_size": _number,
    "batch_concurrency": _number,
    "invalidate_hard_deletes": _flag,
    "updated_at_as_valid_from": _flag,
    "execution_time_as_valid_from": _flag,
    "forward_only": _flag,
    "disable_restatement": _flag,
    "materialized": _materialized,
    "path": _path,
    "materialization": _materialization,
    "materialization_properties": _materialization_properties,
}


def _column(option: Property, tokens: Sequence[Token]) -> str:
    name = Property(option.source, option.key, option.key_token, tokens).name()
    if "." in name or "," in name:
        raise wrong(option.source, option, f"{option.key} takes a column, not {name}", "name a column of the query")
    return name.lower()


def _require(word: str, each: Property, told: Told, source: Source) -> None:
    if told.kind is Kind.SEED and told.seed is None:
        raise wrong(source, each, "a SEED needs the path of its file", "write kind SEED (path '../seeds/name.csv')")
    if told.kind is Kind.BY_TIME_RANGE and "time_column" not in told.settings:
        hint = f"write kind {word} (time_column ds)"
        raise wrong(source, each, f"{word} needs a time_column", hint)
    keyed = told.kind in (Kind.BY_UNIQUE_KEY, Kind.SCD_TYPE_2_BY_TIME, Kind.SCD_TYPE_2_BY_COLUMN)
    if keyed and "unique_key" not in told.settings:
        raise wrong(source, each, f"{word} needs a unique_key", f"write kind {word} (unique_key id)")
    if told.kind is Kind.CUSTOM and "materialization" not in told.settings:
        raise wrong(source, each, "CUSTOM needs a materialization", f"write kind {word} (materialization 'name')")
    if told.kind is Kind.SCD_TYPE_2_BY_COLUMN and "tracked" not in told.settings:
        raise wrong(source, each, f"{word} needs columns", f"write kind {word} (unique_key id, columns *)")
