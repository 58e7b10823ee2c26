"""What each rule finds, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from tests.loaders.projects import loader

from anabranch.domain.names import AssetName
from anabranch.errors import ConfigError, NotFound, Where
from anabranch.linting import Finding, Level
from anabranch.linting.rules import builtin
from anabranch.linting.run import lint
from anabranch.linting.values import Choice, Rule
from anabranch.loaders.native import SourceSettings
from anabranch.ports.loader import Project

SOURCES = {AssetName("raw.t"): SourceSettings({"id": "int", "x": "int"}), AssetName("raw.open"): SourceSettings()}
FILES = {
    "models/a.sql": "select id, x from raw.t",
    "models/b.sql": "select id, x + 1 as y from raw.t",
    "seeds/s.csv": "id,name\n1,one\n",
}


def examine(folder: Path, **models: str) -> Project:
    files = {f"models/{name}.sql": text for name, text in models.items()}
    return loader(folder, {**FILES, **files}, sources=SOURCES).examine()


def found(project: Project, rule: str, *edges: str) -> list[str]:
    """``asset line:column message``, of what a rule finds."""
    return [_said(f) for f in lint(project, builtin(edges), Choice(), [rule])]


def _said(finding: Finding) -> str:
    where = finding.where
    assert where is not None
    assert where.path.is_file()
    return f"{finding.asset} {where.line}:{where.column} {finding.message.removeprefix(f'{finding.asset}: ')}"


# --- columns


WRONG = [
    ("select z from a", "unknown-column", "1:8 there is no column z"),
    ("select a.z from a", "unknown-column", "1:8 there is no column a.z"),
    ("select main.a.z from main.a", "unknown-column", "1:8 there is no column main.a.z"),
    ("select id\nfrom a\nwhere z > 1", "unknown-column", "3:7 there is no column z"),
    ("select p.name, q.y from seeds.s as p join a as q on p.id = q.id", "unknown-column", "1:16 there is no column q.y"),
    ("with c as (select id from a)\nselect c.x from c", "unknown-column", "2:8 there is no column c.x"),
    ("select id from a where exists (select 1 from b where b.x = a.id)", "unknown-column", "1:54 there is no column b.x"),
    ("select (select max(z) from b) as n from a", "unknown-column", "1:20 there is no column z"),
    ("select id from a group by z, id", "unknown-column", "1:27 there is no column z"),
    ("select id from a order by z", "unknown-column", "1:27 there is no column z"),
    ("select sum(z) over (partition by id) as n from a", "unknown-column", "1:12 there is no column z"),
    ("select z from (select id from a)", "unknown-column", "1:8 there is no column z"),
    ("select id from a join b on a.id = b.id", "ambiguous-column", "1:8 id is in several relations"),
    ("select x from a join b on a.id = b.id where id = 1", "ambiguous-column", "1:45 id is in several relations"),
    ("select a.x from a join b on a.id = b.id group by id, a.x", "ambiguous-column", "1:50 id is in several relations"),
]  # fmt: skip
RIGHT = [
    "select id, X, \"x\" as y from a",
    "select a.id, b.y from a join b on a.id = b.id",
    "select id, x, y from a join b using (id)",
    "select id as n, n + 1 as m from a where n > 0 order by m",
    "select id from a where exists (select 1 from b where y = x)",
    "select id from a where id in (select a.id from b)",
    "select a.id from a semi join b on a.id = b.id where id = 1",
    "select a.id as id from a join b on a.id = b.id order by id",
    "select count(*) as n from a group by id having max(x) > 1",
    "select list_transform([1], e -> e + id) as l from a",
    "select p.v from (select {'v': id} as p from a)",
    "select a.v from (select {'v': id} as a from a) as q",
    "with recursive r as (select id from a union all select id + 1 from r where id < 3) select id from r",
    "select user as who, current_date as today from a",
    "select id from a, lateral (select a.x as m) as l where m > 0",
    "from a select id",
    "select name from seeds.s",
    "select unnest([1, 2]) as u from a",
    "select columns('i.*') from a",
    "select id from a limit (select max(y) from b)",
    "select r.x as n from a as r(k, x)",
    "values (1, 2)",
]  # fmt: skip


@pytest.fixture(scope="module")
def warehouse():
    """What the models give, as tables."""
    with duckdb.connect() as connection:
        connection.execute("set lambda_syntax = 'ENABLE_SINGLE_ARROW'")  # which DuckDB 2 takes when asked only
        connection.execute("create table a (id int, x int); create table b (id int, y int)")
        connection.execute(
            "create schema seeds; create table seeds.s (id int, name text); create schema raw; create table raw.t (id int, x int)"
        )
        yield connection


@pytest.mark.parametrize(("query", "rule", "expected"), WRONG)
def test_wrong_columns_are_found_where_the_engine_refuses_them(tmp_path, warehouse, query, rule, expected):
    with pytest.raises(duckdb.BinderException):
        warehouse.execute(query)
    assert found(examine(tmp_path, m=query), rule) == [f"main.m {expected}"]


@pytest.mark.parametrize("query", RIGHT)
def test_what_the_engine_takes_is_never_objected_to(tmp_path, warehouse, query):
    warehouse.execute(query)
    project = examine(tmp_path, m=query)
    assert found(project, "unknown-column") == found(project, "ambiguous-column") == []


def test_all_of_a_query_are_told_with_hints(tmp_path):
    query = "select idd, z from a join b on a.id = b.id where id > 1"
    project = examine(tmp_path, m=query)
    said = lint(project, builtin(), Choice())
    assert [(f.where and f.where.column, f.rule, f.hint) for f in said if f.asset == "main.m"] == [
        (8, "unknown-column", "did you mean id?"),
        (13, "unknown-column", "known here: id, x, y"),
        (query.index("id >") + 1, "ambiguous-column", "write a.id or b.id"),
    ]


def test_of_columns_that_are_not_all_known_nothing_is_said(tmp_path):
    assert found(examine(tmp_path, m="select z from raw.open", n="select zz from raw.t"), "unknown-column") == []
    project = examine(tmp_path, m="select z from n", n="from (pivot a on x using sum(id))")
    assert found(project, "unknown-column") == []


def test_places_are_those_of_the_file(tmp_path):
    header = "MODEL (\n  name main.m,\n  kind FULL\n);\n\n-- of a\n"
    assert found(examine(tmp_path, m=f"{header}select id,\n  z from a\n"), "unknown-column") == [
        "main.m 8:3 there is no column z"
    ]
    project = examine(tmp_path, m=f"{header}@DEF(c, z);\nselect @c from a")
    assert found(project, "unknown-column") == ["main.m 2:8 there is no column z"], "the name, for a macro made it"


# --- stars


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("select * from raw.t", "1:8"),
        ("select t.* from raw.t", "1:10"),
        ("select 1 as one, * from a", "1:18"),
        ("from a", "1:1"),
        ("with c as (select * from a) select * from c", "1:19"),
        ("select id, x from a union all select * from raw.t", "1:38"),
        ("select * from (select * from a)", "1:23"),
    ],
)
def test_stars_are_found(tmp_path, query, place):
    assert [f.split(" *")[0] for f in found(examine(tmp_path, m=query), "no-star")] == [f"main.m {place}"]


@pytest.mark.parametrize(
    "query",
    [
        "select count(*) as n from raw.t",
        "with c as (select id from raw.t) select * from c",
        "with c as (select * from raw.t) select id from c",
        "select id from (select * from raw.t)",
        "select id from a where exists (select * from raw.t)",
        "select a.* from (select id from raw.t) as a join b on true",
    ],
)
def test_stars_that_decide_no_column_are_left_alone(tmp_path, query):
    assert found(examine(tmp_path, m=query), "no-star") == []


def test_a_star_within_the_project_is_left_alone(tmp_path):
    assert found(examine(tmp_path, m="select * from a", n="select id from m"), "no-star") == []
    assert len(found(examine(tmp_path, m="select * from raw.t", n="select id from m"), "no-star")) == 1


# --- what people want to know


def test_missing_words(tmp_path):
    project = examine(tmp_path, m="MODEL (owner me, description 'All', grain id); select id from a")
    for rule in ("missing-owner", "missing-description", "missing-key"):
        assert [f.split()[0] for f in found(project, rule)] == ["main.a", "main.b"]


def test_keys_of_what_has_no_rows_or_says_them_otherwise(tmp_path):
    embedded = "MODEL (kind EMBEDDED); select id from a"
    by_key = "MODEL (kind INCREMENTAL_BY_UNIQUE_KEY (unique_key id)); select id from a"
    found_ = found(examine(tmp_path, m=embedded, n=by_key), "missing-key")
    assert [f.split()[0] for f in found_] == ["main.a", "main.b"]


def test_models_that_nobody_reads(tmp_path):
    project = examine(
        tmp_path, **{"mart/m": "MODEL (tags (core, Shown)); select id from main.a", "mart/n": "from main.b"}
    )
    assert [f.split()[0] for f in found(project, "unused-model")] == ["mart.m", "mart.n"]
    assert [f.split()[0] for f in found(project, "unused-model", "tag:shown")] == ["mart.n"]
    assert found(project, "unused-model", "mart") == []


# --- logic


def test_duplicates(tmp_path):
    project = examine(tmp_path, m="-- the same\nselect t.id, (x) + 1 as y from raw.t as t")
    assert found(project, "duplicated-logic") == ["main.m 1:1 main.m gives the same as main.b"]


@pytest.mark.parametrize(
    "query",
    [
        "MODEL (kind VIEW); select id, y from b",
        "select id, x + 2 as y from raw.t",
        "select id, x + 1 as z from raw.t",
        "select id, x + 1 as y from raw.t where x > 0",
    ],
)
def test_what_passes_on_or_differs_is_no_duplicate(tmp_path, query):
    assert found(examine(tmp_path, m=query), "duplicated-logic") == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select id, random() as r from a", "1:12 random() gives something else each time"),
        ("select now() as r from a", "1:8 now() gives something else each time"),
        ("select id from a limit 3", "1:24 limit without order by: which rows these are may vary"),
        ("select id from (from a limit 3) order by id", "1:30 limit without order by: which rows these are may vary"),
        ("select any_value(x) as v from a", "1:8 any_value() without order by: its values may vary"),
        ("select row_number() over () as v from a", "1:8 row_number() without order by: its values may vary"),
        ("select distinct on (x) id, x from a", "1:21 distinct on without order by: which rows stay may vary"),
    ],
)
def test_what_is_not_the_same_each_time(tmp_path, query, expected):
    assert found(examine(tmp_path, m=query), "unstable-result") == [f"main.m {expected}"]


@pytest.mark.parametrize(
    "query",
    [
        "select id from a order by id limit 3",
        "select max(x) as v, count(*) as n from a",
        "select list(x order by x) as v from a",
        "select row_number() over (order by id) as v from a",
        "select distinct on (x) id, x from a order by x, id",
        "with c as (select id from a limit 1) select id from a",
    ],
)
def test_what_is_the_same_each_time(tmp_path, query):
    assert found(examine(tmp_path, m=query), "unstable-result") == []


def test_what_counts_as_a_whole(tmp_path):
    project = examine(tmp_path, m="with recursive r as (select id from a) select id from r")
    assert found(project, "counts-as-whole") == ["main.m 1:1 main.m counts as a whole: WITH RECURSIVE"]


# --- choosing


def run(project: Project, choice: Choice, *more: Rule) -> list[tuple[str, str, str]]:
    return [(str(f.asset), f.rule, f.level) for f in lint(project, [*builtin(), *more], choice)]


HERE = Where(Path("anabranch.yaml"), 3, 5)


def test_levels_and_exceptions(tmp_path):
    project = examine(tmp_path, m="select * from raw.t limit 3", n="from m")
    stars, limits = ("no-star", "warning"), ("unstable-result", "warning")
    assert run(project, Choice()) == [("main.m", *stars), ("main.m", *limits), ("main.n", *stars)]
    levels = {"no-star": (Level.ERROR, HERE), "unstable-result": (Level.OFF, HERE)}
    ignore = {AssetName("main.n"): (HERE, {"no-star": HERE})}
    assert run(project, Choice(levels, ignore)) == [("main.m", "no-star", "error")]


def test_a_rule_that_is_off_is_run_when_it_is_asked_for(tmp_path):
    choice = Choice({"no-star": (Level.OFF, HERE)})
    (one,) = lint(examine(tmp_path, m="select * from raw.t"), builtin(), choice, ["no-star"])
    assert one.level is Level.WARNING


def test_names_that_are_wrong(tmp_path):
    project = examine(tmp_path)
    with pytest.raises(ConfigError, match="there is no rule no-stars") as wrong:
        run(project, Choice({"no-stars": (Level.OFF, HERE)}))
    assert (wrong.value.where, wrong.value.hint) == (HERE, "did you mean no-star?")
    with pytest.raises(ConfigError, match=r"main\.aa, which doesn't exist") as wrong:
        run(project, Choice(ignore={AssetName("main.aa"): (HERE, {"no-star": HERE})}))
    assert (wrong.value.where, wrong.value.hint) == (HERE, "did you mean main.a?")
    with pytest.raises(ConfigError, match="there is no rule no-stars"):
        run(project, Choice(ignore={AssetName("main.a"): (HERE, {"no-stars": HERE})}))
    with pytest.raises(NotFound, match="there is no rule no-stars"):
        lint(project, builtin(), Choice(), ["no-stars"])


def test_rules_of_others(tmp_path):
    def short_names(project: Project) -> list[Finding]:
        return [Finding(f"{a} is short", a) for a in project.assets if a in ("main.a", "main.b")]

    rule = Rule("short", "a short name", Level.ERROR, short_names)
    project = examine(tmp_path)
    assert run(project, Choice(), rule) == [("main.a", "short", "error"), ("main.b", "short", "error")]
