"""A template, filled, is what rewriting makes."""

from __future__ import annotations

import pytest
from tests.sql.test_rewrite import EMBEDDED_QUERIES, QUERIES, rendered
from tests.sql.warehouse import TARGETS

from anabranch.domain.names import AssetName
from anabranch.ports.engine import quoted
from anabranch.sql.reads import find_reads
from anabranch.sql.rewrite import make_template
from anabranch.sql.syntax import single
from anabranch.sql.template import Template, fill


def template(query: str) -> Template:
    statement = single(query, "duckdb")
    return make_template(statement, find_reads(statement).reads, "main")


def stand_in(asset: AssetName) -> str:
    if asset in EMBEDDED_QUERIES:
        return f"({fill(template(EMBEDDED_QUERIES[asset]), stand_in)}\n)"
    return quoted([TARGETS[asset].schema, TARGETS[asset].name])


@pytest.mark.parametrize("query", QUERIES)
def test_filled_it_is_the_rewritten_query(query: str) -> None:
    expected = rendered(query)
    assert fill(template(query), stand_in) == expected


def test_text_and_assets_take_turns() -> None:
    assert template("select a.x from s.a, s.b as c") == ("select a.x from ", "s.a", ' AS "a", ', "s.b", " as c")
