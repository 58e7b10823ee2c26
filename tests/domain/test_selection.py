"""Selectors against what they say they mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.domain.graph import reach, reversed_edges
from anabranch.domain.names import AssetName
from anabranch.domain.selection import Candidate, Selection, completions
from anabranch.errors import SelectionError


def a(text: str) -> AssetName:
    return AssetName(text)


#  raw.orders ─► stg.orders ─► marts.revenue ─► marts.top
#                    └────────► marts.daily
SHOP = {
    a("raw.orders"): Candidate((), "external"),
    a("stg.orders"): Candidate((a("raw.orders"),), "view", ("core",), "models/stg/orders.sql"),
    a("marts.revenue"): Candidate((a("stg.orders"),), "full", ("core", "nightly"), "models/marts/revenue.sql"),
    a("marts.daily"): Candidate(
        (a("stg.orders"),), "incremental_by_time_range", ("nightly",), "models/marts/daily.sql"
    ),
    a("marts.top"): Candidate((a("marts.revenue"),), "full", ("personal data",), "models/marts/top.sql"),
}
FILES = {"main": {"models/stg/orders.sql", "README.md"}, "HEAD^": {"anabranch.yaml"}, "same": set()}


def chosen(*select: str, exclude: tuple[str, ...] = ()) -> set[str]:
    return set(Selection(select, exclude).of(SHOP, FILES.__getitem__))


MARTS = {"marts.revenue", "marts.daily", "marts.top"}


@pytest.mark.parametrize(
    ("expression", "meant"),
    [
        ("marts.top", {"marts.top"}),
        ("MARTS.Top", {"marts.top"}),
        ("marts.*", MARTS),
        ("*.orders", {"raw.orders", "stg.orders"}),
        ("marts.?op", {"marts.top"}),
        ("tag:nightly", {"marts.revenue", "marts.daily"}),
        ("tag:personal data", {"marts.top"}),
        ("tag:*", {"stg.orders", *MARTS}),
        ("kind:full", {"marts.revenue", "marts.top"}),
        ("kind:FULL", {"marts.revenue", "marts.top"}),
        ("kind:incremental_*", {"marts.daily"}),
        ("git:main", {"stg.orders"}),
        ("git:HEAD^", {"raw.orders"}),
        ("git:same", set()),
        ("git:main+", {"stg.orders", *MARTS}),
        ("+marts.revenue", {"raw.orders", "stg.orders", "marts.revenue"}),
        ("stg.orders+", {"stg.orders", *MARTS}),
        ("+stg.orders+", {"raw.orders", "stg.orders", *MARTS}),
        ("1+marts.top", {"marts.revenue", "marts.top"}),
        ("2+marts.top", {"stg.orders", "marts.revenue", "marts.top"}),
        ("0+marts.top", {"marts.top"}),
        ("stg.orders+1", {"stg.orders", "marts.revenue", "marts.daily"}),
        ("1+stg.orders+1", {"raw.orders", "stg.orders", "marts.revenue", "marts.daily"}),
        ("marts.*,tag:nightly", {"marts.revenue", "marts.daily"}),
        (" marts.* , ^tag:nightly ", {"marts.top"}),
        ("^marts.*", {"raw.orders", "stg.orders"}),
        ("marts.*,^+marts.revenue", {"marts.daily", "marts.top"}),
        ("kind:view,kind:full", set()),
    ],
)
def test_what_an_expression_means(expression, meant):
    assert chosen(expression) == meant


def test_several_are_united_and_exclusions_taken_away():
    assert chosen("marts.top", "tag:nightly") == MARTS
    assert chosen("marts.*", exclude=("marts.top", "tag:nightly,kind:full")) == {"marts.daily"}
    assert chosen(exclude=("marts.*",)) == {"raw.orders", "stg.orders"}
    assert not Selection()
    assert Selection((), ("x",))


@pytest.mark.parametrize(
    ("expression", "message", "hint"),
    [
        ("marts.tops", "no asset is called marts.tops\nmarts.tops\n~~~~~~~~~~", "did you mean marts.top?"),
        ("top", "no asset is called top\ntop\n~~~", "did you mean marts.top?"),
        ("orders", "no asset is called orders\norders\n~~~~~~", "did you mean raw.orders or stg.orders?"),
        ("zzz.*", "no asset is called zzz.*\nzzz.*\n~~~~~", "anabranch env show lists what an environment has"),
        (
            "marts.*,^2+marts.tops+",
            "no asset is called marts.tops\nmarts.*,^2+marts.tops+\n           ~~~~~~~~~~",
            "did you mean marts.top?",
        ),
        ("tag:nighly", "no asset has the tag nighly\ntag:nighly\n~~~~~~~~~~", "did you mean nightly?"),
        ("kind:ful", "no asset is of the kind ful\nkind:ful\n~~~~~~~~", "did you mean full?"),
        ("tags:core", "no asset is called tags:core\ntags:core\n~~~~~~~~~", "did you mean tag:core?"),
        ("", "something is missing here\n \n~", "write a name: marts.orders, marts.*, tag:x"),
        ("+", "something is missing here\n+\n~", "write a name: marts.orders, marts.*, tag:x"),
        ("marts.*,", "something is missing here\nmarts.*,\n       ~", "write a name: marts.orders, marts.*, tag:x"),
        ("tag:", "something is missing here\ntag:\n~~~~", "write a name: marts.orders, marts.*, tag:x"),
    ],
)
def test_mistakes_are_shown_in_the_expression(expression, message, hint):
    with pytest.raises(SelectionError) as raised:
        chosen(expression)
    assert (raised.value.message, raised.value.hint) == (message, hint)


def test_a_selection_can_be_typed_again():
    assert str(Selection(("marts.*", "+a.b"), ("tag:x y",))) == "--select 'marts.*' --select +a.b --exclude 'tag:x y'"


@pytest.mark.parametrize(
    ("incomplete", "offered"),
    [
        ("marts.t", ["marts.top"]),
        ("+marts.t", ["+marts.top"]),
        ("raw.orders,^2+marts.r", ["raw.orders,^2+marts.revenue"]),
        ("tag:n", ["tag:nightly"]),
        ("kind:v", ["kind:view"]),
        ("g", ["git:"]),
        ("x", []),
    ],
)
def test_completion(incomplete, offered):
    assert completions(incomplete, SHOP) == offered


# -- laws ------------------------------------------------------------------------------------------------------------


@st.composite
def graphs(draw: st.DrawFn) -> dict[AssetName, Candidate]:
    """Assets that read earlier ones."""
    found: dict[AssetName, Candidate] = {}
    for number in range(draw(st.integers(1, 9))):
        reads = draw(st.sets(st.sampled_from(sorted(found)), max_size=3)) if found else set()
        kind = draw(st.sampled_from(["full", "view"]))
        found[a(f"s{number % 2}.t{number}")] = Candidate(
            tuple(sorted(reads)), kind, draw(st.sampled_from([(), ("x",)]))
        )
    return found


def of(graph: dict[AssetName, Candidate], *select: str) -> set[AssetName]:
    return Selection(select).of(graph, lambda ref: ())


def distances(edges: dict[AssetName, list[AssetName]], start: AssetName) -> dict[AssetName, int]:
    """The number of steps on the shortest way, by relaxing every edge again and again."""
    found = {start: 0}
    for _ in edges:
        for name in list(found):
            for to in edges.get(name, []):
                found[to] = min(found.get(to, len(edges)), found[name] + 1)
    return found


@given(graphs(), st.data())
def test_closures_are_what_the_graph_reaches(graph, data):
    start = data.draw(st.sampled_from(sorted(graph)))
    up = {n: list(c.reads) for n, c in graph.items()}
    down = reversed_edges(up)
    assert of(graph, f"+{start}") == reach(up, [start])
    assert of(graph, f"{start}+") == reach(down, [start])
    assert of(graph, f"+{start}+") == reach(up, [start]) | reach(down, [start])
    steps = data.draw(st.integers(0, 4))
    assert of(graph, f"{steps}+{start}") == {n for n, d in distances(up, start).items() if d <= steps}
    assert of(graph, f"{start}+{steps}") == {n for n, d in distances(down, start).items() if d <= steps}


@given(graphs(), st.data())
def test_who_is_upstream_of_whom(graph, data):
    one, other = (data.draw(st.sampled_from(sorted(graph))) for _ in range(2))
    assert (one in of(graph, f"+{other}")) == (other in of(graph, f"{one}+"))


@given(graphs(), st.data())
def test_sets(graph, data):
    def term() -> str:
        name = data.draw(st.sampled_from([*sorted(graph), "s0.*", "s*"]))
        return str(data.draw(st.sampled_from(["", "^"])) + data.draw(st.sampled_from([name, f"+{name}", f"{name}+1"])))

    one, other = term(), term()
    assert of(graph, f"{one},{other}") == of(graph, one) & of(graph, other)
    assert of(graph, one, other) == of(graph, one) | of(graph, other)
    assert of(graph, f"{one},{other}") == of(graph, f"{other},{one}")
    bare = one.removeprefix("^")
    assert of(graph, f"^{bare}") == set(graph) - of(graph, bare)
    assert Selection((one,), (other,)).of(graph, lambda ref: ()) == of(graph, one) - of(graph, other)


@given(graphs(), st.text(alphabet="ab.s0t*?+^,: 12", max_size=12))
def test_any_text_is_a_selection_or_a_mistake(graph, text):
    try:
        found = of(graph, text)
    except SelectionError:
        return
    assert found <= set(graph)
