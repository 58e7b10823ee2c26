"""What BigQuery's statements are made of, as pure text: types, hashes, clones, pointers and labels."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from anabranch.ports.cloning import Cloning, Past
from anabranch.ports.engine import Relation
from anabranch.ports.grammar import Grammar

REPEATED = "REPEATED"
_ALIASES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}
_INEXACT = ("FLOAT64", "GEOGRAPHY")
"""Types whose values JSON doesn't tell apart: it has one zero, and rounds coordinates."""


class Field(Protocol):
    """A column, or a part of one, as the driver has it."""

    @property
    def name(self) -> str: ...
    @property
    def field_type(self) -> str: ...
    @property
    def mode(self) -> str: ...
    @property
    def fields(self) -> Sequence[Field]: ...
    @property
    def precision(self) -> int | None: ...
    @property
    def scale(self) -> int | None: ...
    @property
    def max_length(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class BigQueryGrammar(Grammar):
    """GoogleSQL's."""

    quote: str = "`"
    escapes: bool = True
    text: str = "STRING"
    boolean: str = "BOOL"
    integer: str = "INT64"
    double: str = "FLOAT64"
    timestamp: str = "DATETIME"
    zoned: str = "TIMESTAMP"
    # a join takes it for an equality of columns, which it doesn't take IS NOT DISTINCT FROM for
    same: str = "({0} = {1} OR ({0} IS NULL AND {1} IS NULL))"
    prefix: str = "substr({}, 1, {})"
    materialized: str = "AS"
    except_all: str = ""

    def identifier(self, name: str) -> str:
        """A backtick within a name is escaped: two of them would end one name and begin another."""
        for character, told in (("\\", "\\\\"), ("`", "\\`"), ("\n", "\\n"), ("\r", "\\r")):
            name = name.replace(character, told)
        return f"`{name}`"


GRAMMAR = BigQueryGrammar()


def kind(field: Field) -> str:
    """A field's type as INFORMATION_SCHEMA spells it."""
    name = _ALIASES.get(field.field_type, field.field_type)
    if name == "STRUCT":
        name = f"STRUCT<{', '.join(f'{f.name} {kind(f)}' for f in field.fields)}>"
    elif name == "RANGE":
        element = getattr(field, "range_element_type", None)
        name = f"RANGE<{element.element_type}>" if element else name
    elif field.precision is not None:
        name += f"({field.precision}, {field.scale})" if field.scale else f"({field.precision})"
    elif field.max_length is not None:
        name += f"({field.max_length})"
    return f"ARRAY<{name}>" if field.mode == REPEATED else name


def unparametrized(told: str) -> str:
    """A type without lengths and precisions, which a cast doesn't take."""
    return re.sub(r"\(\s*\d+\s*(,\s*\d+\s*)?\)", "", told)


# -- hashes ------------------------------------------------------------------------------------------------------------


def exact(value: str, field: Field, depth: int = 0) -> str:
    """An expression whose text as JSON is another for each value that a query can tell from the others."""
    if not _is_inexact(field):
        return value
    if field.mode == REPEATED:
        each, place = f"v{depth}", f"o{depth}"
        single = exact(each, _Single(field), depth + 1)
        told = f"ARRAY(SELECT {single} FROM UNNEST({value}) AS {each} WITH OFFSET AS {place} ORDER BY {place})"
        return f"IF({value} IS NULL, NULL, {told})"
    name = _ALIASES.get(field.field_type, field.field_type)
    if name == "GEOGRAPHY":
        return f"ST_ASBINARY({value})"
    if name == "FLOAT64":
        # 17 digits tell all numbers apart, and the inverse the two zeros
        return f"STRUCT(FORMAT('%.17g', {value}) AS a, IF({value} = 0, IEEE_DIVIDE(1, {value}), NULL) AS b)"
    parts = ", ".join(
        f"{exact(f'{value}.{GRAMMAR.identifier(f.name)}', f, depth)} AS f{number}"
        for number, f in enumerate(field.fields)
    )
    return f"IF({value} IS NULL, NULL, STRUCT({parts}))"


def hashing(table: str, fields: Sequence[Field]) -> str:
    """The query that computes the figures of a hash of ``table``: the number of rows, and two sums, for two equal rows
    would cancel each other in an exclusive or; each of two halves, for a NUMERIC holds the sum of 10^19 of them."""
    if not fields:
        return f"SELECT COUNT(*) FROM {table}"
    values = ", ".join(f"{exact(GRAMMAR.identifier(f.name), f)} AS c{i}" for i, f in enumerate(fields))
    sums = ", ".join(f"SUM(CAST({half}({h}, 4294967296) AS NUMERIC))" for h in ("a", "b") for half in ("DIV", "MOD"))
    return (
        f"SELECT COUNT(*), {sums}"
        " FROM (SELECT FARM_FINGERPRINT(r) AS a, FARM_FINGERPRINT(CONCAT('anabranch', r)) AS b"
        f" FROM (SELECT TO_JSON_STRING(STRUCT({values})) AS r FROM {table}))"
    )


def _is_inexact(field: Field) -> bool:
    name = _ALIASES.get(field.field_type, field.field_type)
    return name in _INEXACT or any(_is_inexact(f) for f in field.fields)


class _Single:
    """An element of an array."""

    mode = "NULLABLE"

    def __init__(self, array: Field) -> None:
        self.name, self.field_type, self.fields = array.name, array.field_type, array.fields
        self.precision, self.scale, self.max_length = array.precision, array.scale, array.max_length


# -- clones ------------------------------------------------------------------------------------------------------------

_TEXTS = ("description", "friendly_name", "kms_key_name")
_MOMENTS = ("expiration_timestamp",)
_LABEL = "labels."


def cloning(source: str, clone: str, how: Cloning) -> str:
    """The statement of :meth:`anabranch.ports.engine.Session.clone`.

    Raises:
        ValueError: BigQuery has no such clones; says what it can't do.
    """
    for name, wish in (
        ("keeps_grants", "keep the grants of what a clone replaces"),
        ("skips_unretained", "leave out what isn't retained"),
        ("location", "put a clone's files into a place of their own"),
    ):
        if getattr(how, name):
            raise ValueError(wish)
    if how.is_snapshot and how.replace:
        raise ValueError("replace a table by a snapshot in one step")
    if how.is_deep and (how.is_snapshot or how.at):
        raise ValueError("copy a table as a snapshot, or as it was")
    made = "SNAPSHOT TABLE" if how.is_snapshot else "OR REPLACE TABLE" if how.replace else "TABLE"
    past = f" FOR SYSTEM_TIME AS OF {_moment(how.at)}" if how.at else ""
    return f"CREATE {made} {clone} {'COPY' if how.is_deep else 'CLONE'} {source}{past}{options(how.properties)}"


def clone_base(resource: Mapping[str, Any]) -> tuple[Relation, datetime] | None:
    """What a table, as BigQuery describes it, was cloned from, and as of when; None of one that is no clone. The driver
    reads only moments that have a fraction of a second."""
    for made, taken in (("cloneDefinition", "cloneTime"), ("snapshotDefinition", "snapshotTime")):
        told = resource.get(made)
        if told:
            base = told["baseTableReference"]
            when = datetime.fromisoformat(told[taken]) if taken in told else datetime.max.replace(tzinfo=UTC)
            return Relation(base["datasetId"], base["tableId"], base["projectId"]), when
    return None


def options(properties: Mapping[str, str]) -> str:
    """The clause OPTIONS for a table's properties; a label is given as ``labels.<key>``.

    Raises:
        ValueError: there is no such property; says what can't be done.
    """
    told, labels = [], []
    for name, value in properties.items():
        if name.startswith(_LABEL):
            labels.append(f"({GRAMMAR.literal(name.removeprefix(_LABEL))}, {GRAMMAR.literal(value)})")
        elif name in _TEXTS:
            told.append(f"{name} = {GRAMMAR.literal(value)}")
        elif name in _MOMENTS:
            told.append(f"{name} = TIMESTAMP {GRAMMAR.literal(value)}")
        else:
            raise ValueError(f"give a table the property {name!r}")
    if labels:
        told.append(f"labels = [{', '.join(labels)}]")
    return f" OPTIONS ({', '.join(told)})" if told else ""


def _moment(past: Past) -> str:
    if past.statement is not None or past.version is not None:
        raise ValueError("find a moment by a statement or a version")
    step = timedelta(microseconds=1 if past.before else 0)
    if past.time is not None:
        return f"TIMESTAMP '{(past.time - step).astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00:00'"
    ago = timedelta(seconds=past.seconds or 0) + step
    return f"TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL {ago // timedelta(microseconds=1)} MICROSECOND)"


# -- pointers ----------------------------------------------------------------------------------------------------------

_NAME = r"`((?:[^`\\]|\\.)*)`"
_POINTER = re.compile(rf"SELECT \* FROM {_NAME}\.{_NAME}\.{_NAME}\s*\Z")
_MARK = ("anabranch", "pointer")
MARKED = f'STRUCT("{_MARK[0]}", "{_MARK[1]}")'
"""What INFORMATION_SCHEMA says of a view that :func:`pointing` made, among its labels."""


def pointing(view: str, target: str) -> str:
    """The statement that makes a pointer. Its label tells it from a view of the same text that gives its columns other
    names: these aren't part of the text."""
    return f"CREATE OR REPLACE VIEW {view} OPTIONS (labels = [('{_MARK[0]}', '{_MARK[1]}')]) AS SELECT * FROM {target}"


def pointed(query: str) -> tuple[str, str, str] | None:
    """Project, dataset and table that a pointer's text names."""
    match = _POINTER.match(query.strip())
    if match is None:
        return None
    project, dataset, table = (re.sub(r"\\(.)", r"\1", part) for part in match.groups())
    return project, dataset, table


# -- labels ------------------------------------------------------------------------------------------------------------

_LONGEST = 63
_HASH = 8


def labels(about: Mapping[str, str]) -> dict[str, str]:
    """What a statement is about, as labels of its job, whose values have small letters, digits, ``-`` and ``_`` only.
    A value that had to be changed for it ends with a hash of what it was."""
    return {_label(f"anabranch_{key}"): _label(value) for key, value in about.items()}


def _label(text: str) -> str:
    plain = re.sub(r"[^a-z0-9_-]", "-", text.lower())
    if plain == text and len(plain) <= _LONGEST:
        return plain
    return f"{plain[: _LONGEST - _HASH - 1]}-{hashlib.sha256(text.encode()).hexdigest()[:_HASH]}"
