"""One synthetic project, written for three tools, and the edits that the benchmark makes to it.

The project is a pure function of its size and seed: ten layers of FULL models over one seed of 1,000 rows. A model of
layer 0 reads the seed; each other one reads about three models of the layers before it. All arithmetic is on integers,
so that two tools that ran the same SQL hold the same rows, bit for bit, and their content can be compared.

The SQL is one text for all tools; only the header and the spelling of a reference differ. Nothing here runs anything.
"""

from __future__ import annotations

import csv
import io
import random
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

#: Part of each stored figure's identity: figures of another scheme are not comparable, so raise it with any change of
#: what is generated.
SCHEME = 1

LAYERS = 10
SEED_ROWS = 1_000
SEED_NAME = "raw.events"
SEED_FILE = "seeds/raw/events.csv"
DATABASE = "bench.duckdb"
#: What the leaf's edit adds to its ``score``: far above what any row reaches otherwise.
LEAF_SHIFT = 1_000_000_000
ROOT_COLUMN = "amount_doubled"
ROOT_COMMENT = "-- Amounts are in cents, taxes included."

_REFERENCE = re.compile(r"@([a-z0-9]+\.[a-z0-9]+)@")
_SEED_COLUMNS = ("id", "category", "status", "amount", "quantity", "event_day")
_CATEGORIES = ("books", "games", "garden", "kitchen", "music", "sports", "tools", "toys")
_BUCKETS = 250


class Flavour(Enum):
    """The tool that a project is written for."""

    ANABRANCH = "anabranch"
    SQLMESH = "sqlmesh"
    DBT = "dbt"


class Edit(Enum):
    """A change to one model's file."""

    LEAF_EXPRESSION = "leaf expression"
    ROOT_COLUMN = "root column"
    ROOT_COMMENT = "root comment"
    ROOT_REFACTORED = "root refactored"


@dataclass(frozen=True, slots=True)
class Model:
    """One model: its name, what it reads, and the figures that make its SQL its own."""

    layer: int
    number: int
    shape: str
    upstreams: tuple[str, ...]
    columns: tuple[str, ...]
    weight: int
    threshold: int
    #: The optional columns of the first upstream: what the SQL may carry through.
    carried: tuple[str, ...]

    @property
    def schema(self) -> str:
        return f"layer{self.layer}"

    @property
    def table(self) -> str:
        return f"m{self.number:04d}"

    @property
    def name(self) -> str:
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True, slots=True)
class Project:
    """Models in an order in which each stands after what it reads."""

    models: tuple[Model, ...]
    seed: int

    @property
    def size(self) -> int:
        return len(self.models)

    @property
    def root(self) -> Model:
        """The model of layer 0 that is edited; much of the project stands on it."""
        return self.models[0]

    @property
    def leaf(self) -> Model:
        """The model that is edited and that nobody reads."""
        return self.models[-1]

    def edited(self, edit: Edit) -> Model:
        """The model whose file an edit changes."""
        return self.leaf if edit is Edit.LEAF_EXPRESSION else self.root


def generate(size: int, seed: int = 7) -> Project:
    """Make the project of ``size`` models, a multiple of the number of layers."""
    if size < LAYERS or size % LAYERS:
        raise ValueError(f"the number of models must be a multiple of {LAYERS}, not {size}")
    chance = random.Random(f"anabranch-bench-{seed}-{size}")
    per_layer = size // LAYERS
    made: list[list[Model]] = []
    for layer in range(LAYERS):
        row: list[Model] = []
        for place in range(per_layer):
            number = layer * per_layer + place + 1
            first = made[0][0] if layer == 1 and place == 0 else None
            row.append(_model(chance, layer, number, made, first))
        made.append(row)
    return Project(tuple(model for row in made for model in row), seed)


def _model(
    chance: random.Random,
    layer: int,
    number: int,
    before: list[list[Model]],
    first: Model | None,
) -> Model:
    optional = ("quantity", "event_day")
    weight, threshold = chance.randint(1, 99), chance.randint(1, 20)
    if layer == 0:
        shape = chance.choice(("clean", "rank"))
        carried = optional[: chance.randint(0, 2)]
        upstreams: tuple[str, ...] = (SEED_NAME,)
    else:
        shape = chance.choice(("join", "join", "group"))
        chosen = _upstreams(chance, before, first)
        upstreams = tuple(model.name for model in chosen)
        carried = tuple(column for column in optional if column in chosen[0].columns)
    columns = ("id", "category", "amount", "score", *carried)
    if shape == "group":
        columns = ("id", "category", "amount", "score", "quantity")
    return Model(layer, number, shape, upstreams, columns, weight, threshold, carried)


def _upstreams(chance: random.Random, before: list[list[Model]], first: Model | None) -> list[Model]:
    """About three models: two of the layer before, one of the two layers before."""
    previous, recent = before[-1], [model for row in before[-2:] for model in row]
    chosen = [first or chance.choice(previous)]
    for pool in (previous, recent):
        rest = [model for model in pool if model not in chosen]
        if rest:
            chosen.append(chance.choice(rest))
    return chosen


# --- SQL -------------------------------------------------------------------------------------------------------------


def query(model: Model, reference: Callable[[str], str], edit: Edit | None = None) -> str:
    """The model's SQL, each upstream written by ``reference``, with one edit if given."""
    builder = {"clean": _clean, "rank": _rank, "join": _join, "group": _group}[model.shape]
    weight = model.weight + (LEAF_SHIFT if edit is Edit.LEAF_EXPRESSION else 0)
    text = builder(model, weight)
    if edit is Edit.ROOT_COLUMN:
        text = text.replace("\nfrom cleaned", f",\n  amount * 2 as {ROOT_COLUMN}\nfrom cleaned")
    elif edit is Edit.ROOT_COMMENT:
        text = text.replace("\nselect\n", f"\n{ROOT_COMMENT}\nselect\n")
    elif edit is Edit.ROOT_REFACTORED:  # nobody can tell from the text that these are the same rows
        text = text.replace("\nfrom cleaned", "\nfrom (select * from cleaned where id >= 0 or id < 0) as cleaned")
    return _REFERENCE.sub(lambda found: reference(found[1]), text)


def _list(items: list[str]) -> str:
    return ",\n  ".join(items)


def _seed_cte(model: Model) -> str:
    return textwrap.dedent(
        f"""\
        with cleaned as (
          select
            cast(id as bigint) as id,
            cast(category as varchar) as category,
            cast(amount as bigint) as amount,
            cast(quantity as bigint) as quantity,
            cast(event_day as date) as event_day
          from @{SEED_NAME}@
          where status <> 'test' and amount >= {model.threshold}
        )"""
    )


def _clean(model: Model, weight: int) -> str:
    columns = ["id", "category", "amount", f"amount + {weight} as score", *model.carried]
    return f"{_seed_cte(model)}\nselect\n  {_list(columns)}\nfrom cleaned\nwhere quantity > 0"


def _rank(model: Model, weight: int) -> str:
    score = f"case when quantity > 5 then amount * 2 else amount end + {weight} as score"
    columns = ["id", "category", f"amount + quantity * {model.threshold} as amount", score, *model.carried]
    return f"{_seed_cte(model)}\nselect\n  {_list(columns)}\nfrom cleaned\nwhere quantity > 0"


def _aliases(model: Model) -> Iterator[tuple[str, str]]:
    """The alias and name of each upstream after the first."""
    return zip(("u", "v"), model.upstreams[1:], strict=False)


def _joins(model: Model) -> str:
    """An inner join of the second upstream, a left join of the third."""
    kinds = {"u": "join", "v": "left join"}
    return "".join(f"\n{kinds[alias]} @{name}@ as {alias} on {alias}.id = b.id" for alias, name in _aliases(model))


def _total(model: Model, column: str) -> str:
    return " + ".join([f"b.{column}", *(f"coalesce({alias}.{column}, 0)" for alias, _ in _aliases(model))])


def _base_cte(model: Model) -> str:
    columns = ", ".join(("id", "category", "amount", "score", *model.carried))
    return (
        f"with base as (\n  select {columns}\n  from @{model.upstreams[0]}@\n  where amount >= {model.threshold % 5}\n)"
    )


def _join(model: Model, weight: int) -> str:
    columns = [
        "b.id",
        "b.category",
        f"({_total(model, 'amount')}) % 1000003 + 5 as amount",
        f"({_total(model, 'score')}) % 1000003 + {weight} as score",
        *(f"b.{column}" for column in model.carried),
    ]
    return f"{_base_cte(model)}\nselect\n  {_list(columns)}\nfrom base as b{_joins(model)}\nwhere b.score is not null"


def _group(model: Model, weight: int) -> str:
    inner = [
        f"b.id % {_BUCKETS} as bucket_id",
        "b.category",
        f"{_total(model, 'amount')} as total_amount",
        "b.score",
    ]
    columns = [
        "bucket_id as id",
        "min(category) as category",
        "cast(sum(total_amount) % 1000003 + 5 as bigint) as amount",
        f"max(score) % 1000003 + {weight} as score",
        "count(*) as quantity",
    ]
    joined = textwrap.indent(f"select\n  {_list(inner)}\nfrom base as b{_joins(model)}", "  ")
    return f"{_base_cte(model)},\njoined as (\n{joined}\n)\nselect\n  {_list(columns)}\nfrom joined\ngroup by bucket_id"


def seed_csv(seed: int = 7) -> str:
    """The seed's rows."""
    chance = random.Random(f"anabranch-bench-rows-{seed}")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_SEED_COLUMNS)
    for number in range(1, SEED_ROWS + 1):
        day = f"2024-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"
        status = "test" if chance.random() < 0.05 else chance.choice(("paid", "sent"))
        writer.writerow(
            [number, chance.choice(_CATEGORIES), status, chance.randint(1, 99_999), chance.randint(1, 9), day]
        )
    return out.getvalue()


# --- files -----------------------------------------------------------------------------------------------------------


def model_path(flavour: Flavour, model: Model) -> str:
    """Where a model's file stands in its project: the same for all tools."""
    return f"models/{model.schema}/{model.table}.sql"


def model_text(flavour: Flavour, model: Model, edit: Edit | None = None) -> str:
    """A model's file."""
    if flavour is Flavour.DBT:
        return query(model, lambda name: f"{{{{ ref('{name.partition('.')[2]}') }}}}", edit) + "\n"
    return f"MODEL (name {model.name}, kind FULL);\n\n{query(model, lambda name: name, edit)}\n"


def files(project: Project, flavour: Flavour) -> Iterator[tuple[str, str]]:
    """Each file of the project: its path and its text."""
    yield SEED_FILE, seed_csv(project.seed)
    for model in project.models:
        yield model_path(flavour, model), model_text(flavour, model)
    if flavour is Flavour.ANABRANCH:
        yield "anabranch.yaml", f"project: bench\nwarehouse: {{engine: duckdb, database: {DATABASE}}}\n"
    elif flavour is Flavour.SQLMESH:
        yield "config.yaml", _SQLMESH_CONFIG
        yield "models/raw/events.sql", _SQLMESH_SEED
    else:
        yield "dbt_project.yml", _dbt_project()
        yield "profiles.yml", _DBT_PROFILES
        yield "macros/generate_schema_name.sql", _DBT_SCHEMA_MACRO


def write(project: Project, flavour: Flavour, folder: Path) -> None:
    """Write the project's files into a folder that is made for it."""
    folder.mkdir(parents=True)
    for path, text in files(project, flavour):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def apply_edit(project: Project, flavour: Flavour, folder: Path, edit: Edit) -> None:
    """Make one edit, on the unedited text of its model."""
    model = project.edited(edit)
    (folder / model_path(flavour, model)).write_text(model_text(flavour, model, edit), encoding="utf-8")


def restore(project: Project, flavour: Flavour, folder: Path, edit: Edit) -> None:
    """Take an edit back."""
    model = project.edited(edit)
    (folder / model_path(flavour, model)).write_text(model_text(flavour, model), encoding="utf-8")


_SQLMESH_CONFIG = f"""\
gateways:
  local:
    connection: {{type: duckdb, database: {DATABASE}}}
default_gateway: local
model_defaults: {{dialect: duckdb, start: 2024-01-01}}
"""

_SQLMESH_SEED = f"""\
MODEL (
  name {SEED_NAME},
  kind SEED (path '../../{SEED_FILE}'),
  columns (id bigint, category varchar, status varchar, amount bigint, quantity bigint, event_day date)
);
"""

_DBT_PROFILES = f"""\
bench:
  target: prod
  outputs:
    prod: {{type: duckdb, path: {DATABASE}, schema: main, threads: 1}}
    dev: {{type: duckdb, path: {DATABASE}, schema: main, threads: 1}}
"""

_DBT_SCHEMA_MACRO = """\
{% macro generate_schema_name(custom_schema_name, node) -%}
  {%- set schema = custom_schema_name or target.schema -%}
  {{ schema if target.name == 'prod' else schema ~ '__' ~ target.name }}
{%- endmacro %}
"""


def _dbt_project() -> str:
    schemas = "\n".join(f"    layer{layer}: {{+schema: layer{layer}}}" for layer in range(LAYERS))
    return (
        "name: bench\nversion: '1.0'\nprofile: bench\n"
        "flags: {send_anonymous_usage_stats: false}\n"
        f"models:\n  bench:\n    +materialized: table\n{schemas}\n"
        "seeds:\n  bench:\n    raw: {+schema: raw}\n"
    )
