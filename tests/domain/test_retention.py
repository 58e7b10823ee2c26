from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.strategies import BEGIN, Commits, commit, histories

from anabranch.domain.commit import ancestors
from anabranch.domain.ids import CommitId
from anabranch.domain.retention import retained


@given(histories(), st.data(), st.integers(-1, 45))
def test_what_was_current_since_then_is_kept(drawn: tuple[Commits, list[CommitId]], data: st.DataObject, hours: int):
    commits, order = drawn
    heads = data.draw(st.lists(st.sampled_from(order), max_size=3, unique=True))
    since = BEGIN + timedelta(hours=hours)
    reachable = ancestors(commits, heads)
    replaced = {p for c in reachable.values() if c.at >= since for p in c.parents}
    assert retained(commits, heads, since) == set(heads) | replaced


@given(histories(), st.data(), st.integers(0, 45), st.integers(0, 45))
def test_a_longer_memory_keeps_more(drawn: tuple[Commits, list[CommitId]], data: st.DataObject, one: int, other: int):
    commits, order = drawn
    heads = data.draw(st.lists(st.sampled_from(order), max_size=3, unique=True))
    later, earlier = (BEGIN + timedelta(hours=h) for h in (max(one, other), min(one, other)))
    assert retained(commits, heads, later) <= retained(commits, heads, earlier)


def test_by_example():
    commits = Commits()
    first = commits.add(commit(1, at=BEGIN))
    second = commits.add(commit(2, [first], at=BEGIN + timedelta(days=10)))
    third = commits.add(commit(3, [second], at=BEGIN + timedelta(days=20)))
    assert retained(commits, [third], BEGIN + timedelta(days=21)) == {third}
    assert retained(commits, [third], BEGIN + timedelta(days=20)) == {third, second}
    assert retained(commits, [third], BEGIN + timedelta(days=15)) == {third, second}, "it was current on day 15"
    assert retained(commits, [third], BEGIN + timedelta(days=5)) == {third, second, first}
    assert retained(commits, [], BEGIN) == set()
