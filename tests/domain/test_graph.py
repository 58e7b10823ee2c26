import graphlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.domain.graph import Cycle, order, reach, reversed_edges

graphs = st.dictionaries(
    st.sampled_from("abcdefgh"), st.sets(st.sampled_from("abcdefgh"), max_size=3).map(sorted), max_size=8
)
acyclic = graphs.map(lambda g: {n: [u for u in reads if u < n] for n, reads in g.items()})


def cycle_of(reads: dict[str, list[str]]) -> Cycle | None:
    try:
        order(reads)
    except Cycle as cycle:
        return cycle
    return None


@given(graphs)
def test_the_order_puts_each_after_what_it_reads_or_a_cycle_is_told(reads: dict[str, list[str]]):
    cycle = cycle_of(reads)
    if cycle is not None:
        assert cycle.path[0] == cycle.path[-1] == min(cycle.path)
        assert len(cycle.path) == len(set(cycle.path)) + 1
        assert all(then in reads[name] for name, then in pairwise(cycle.path))
        assert str(cycle) == " → ".join(cycle.path)
        with pytest.raises(graphlib.CycleError):
            graphlib.TopologicalSorter(reads).prepare()
        return
    found = order(reads)
    assert set(found) == reads.keys() | {u for each in reads.values() for u in each}
    assert len(found) == len(set(found))
    place = {name: n for n, name in enumerate(found)}
    assert all(place[u] < place[name] for name, each in reads.items() for u in each)


@given(acyclic)
def test_the_order_does_not_depend_on_how_it_is_written(reads: dict[str, list[str]]):
    turned = {n: list(reversed(reads[n])) for n in reversed(reads)}
    assert order(turned) == order(reads)


@given(graphs)
def test_readers_are_the_edges_backwards(reads: dict[str, list[str]]):
    readers = reversed_edges(reads)
    assert {(u, n) for n, each in reads.items() for u in each} == {(u, n) for u, each in readers.items() for n in each}
    assert readers.keys() >= reads.keys()


@given(graphs, st.sets(st.sampled_from("abcdefgh")))
def test_reach_is_the_least_closed_set(edges: dict[str, list[str]], starts: set[str]):
    found = reach(edges, starts)
    expected, grown = set(starts), True
    while grown:
        more = {u for n in expected for u in edges.get(n, ())} - expected
        expected |= more
        grown = bool(more)
    assert found == expected


def test_one_that_reads_itself():
    with pytest.raises(Cycle, match="a → a"):
        order({"a": ["a"]})


def test_a_longer_cycle_reads_in_order():
    with pytest.raises(Cycle) as caught:
        order({"c": ["a"], "a": ["b"], "b": ["c"], "d": ["a"]})
    assert caught.value.path == ["a", "b", "c", "a"]
