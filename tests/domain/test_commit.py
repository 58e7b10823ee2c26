from collections.abc import Collection
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from tests.strategies import BEGIN, ENVIRONMENTS, Commits, commit, histories

from anabranch.domain.commit import (
    Action,
    Commit,
    Environment,
    ancestors,
    decode,
    decode_environment,
    encode,
    encode_environment,
    history,
    merge_base,
    undo_target,
)
from anabranch.domain.ids import CommitId, PlanId, TreeId, digest
from anabranch.domain.names import EnvironmentName

PROD, FEATURE = EnvironmentName("prod"), EnvironmentName("feature")
texts = st.text(max_size=30)
ids = texts.map(lambda t: CommitId(digest(t.encode())))
times = st.datetimes(min_value=datetime(1980, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # timezones says which


# -- codecs ------------------------------------------------------------------------------------------------------------

commits = st.builds(
    Commit,
    tree=texts.map(lambda t: TreeId(digest(t.encode()))),
    parents=st.lists(ids, max_size=3).map(tuple),
    height=st.integers(1, 10**6),
    environment=st.sampled_from(ENVIRONMENTS),
    action=st.sampled_from(Action),
    author=texts,
    at=times,
    message=texts,
    plan=st.none() | texts.map(PlanId),
    restores=st.none() | ids,
)
environments = st.builds(
    Environment,
    name=st.sampled_from(ENVIRONMENTS),
    head=ids,
    base=st.none() | st.sampled_from(ENVIRONMENTS),
    began=st.none() | ids,
    branch=st.none() | texts,
    owner=texts,
    created_at=times,
    expires_at=st.none() | times,
    protected=st.booleans(),
)


@given(commits)
def test_a_commit_is_read_back_as_it_was_written(made: Commit):
    again = decode(encode(made))
    assert again == made
    assert again.id == made.id


@given(commits, commits)
def test_equal_commits_have_equal_ids_and_others_other_ones(one: Commit, other: Commit):
    assert (one == other) == (one.id == other.id)


@given(environments)
def test_an_environment_is_read_back_as_it_was_written(made: Environment):
    assert decode_environment(encode_environment(made)) == made


def test_a_commit_made_elsewhere_is_at_the_same_time():
    there = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert decode(encode(commit(1, at=there))).at == datetime(2026, 1, 1, tzinfo=UTC)


def test_an_environment_expires_at_its_time():
    made = Environment(FEATURE, commit(1).id, expires_at=BEGIN)
    assert made.is_expired(BEGIN)
    assert made.is_expired(BEGIN + timedelta(seconds=1))
    assert not made.is_expired(BEGIN - timedelta(seconds=1))
    assert not Environment(FEATURE, commit(1).id).is_expired(BEGIN)
    assert made.at(commit(2).id) == Environment(FEATURE, commit(2).id, expires_at=BEGIN)


# -- history -----------------------------------------------------------------------------------------------------------


@given(histories(), st.data())
def test_the_merge_base_is_the_highest_common_ancestor(drawn: tuple[Commits, list[CommitId]], data: st.DataObject):
    kept, order = drawn
    ours, theirs = data.draw(st.sampled_from(order)), data.draw(st.sampled_from(order))
    common = ancestors(kept, [ours]).keys() & ancestors(kept, [theirs]).keys()
    found = merge_base(kept, ours, theirs)
    if not common:
        assert found is None
        return
    assert found in common
    assert kept[found].height == max(kept[c].height for c in common)
    assert not any(found in ancestors(kept, kept[c].parents) for c in common), "no common one descends from it"
    assert merge_base(kept, theirs, ours) == found


@given(histories(), st.data())
def test_the_merge_base_of_an_ancestor_is_the_ancestor(drawn: tuple[Commits, list[CommitId]], data: st.DataObject):
    kept, order = drawn
    head = data.draw(st.sampled_from(order))
    for ancestor in ancestors(kept, [head]):
        assert merge_base(kept, head, ancestor) == ancestor


def test_the_search_for_a_merge_base_reads_no_further_than_it():
    kept = Commits()
    at = kept.add(commit(0, height=1))
    chain = [at]
    for number in range(1, 1000):
        at = kept.add(commit(number, [at], height=number + 1))
        chain.append(at)
    mine = kept.add(commit(2000, [chain[990]], height=992))
    asked: set[CommitId] = set()

    def read(ids: Collection[CommitId]) -> dict[CommitId, Commit]:
        asked.update(ids)
        return {i: kept[i] for i in ids}

    assert merge_base(read, chain[-1], mine) == chain[990]
    assert len(asked) < 15


def test_history_follows_first_parents():
    kept = Commits()
    first = kept.add(commit(1, height=1))
    side = kept.add(commit(2, [first], height=2))
    second = kept.add(commit(3, [first], height=2))
    merged = kept.add(commit(4, [second, side], height=3))
    assert [i for i, _ in history(kept, merged)] == [merged, second, first]
    assert ancestors(kept, [merged]).keys() == {merged, second, side, first}


# -- a life of two environments ----------------------------------------------------------------------------------------


class Life:
    """Heads of environments, moved as the app moves them. A commit's tree is given by a number."""

    def __init__(self) -> None:
        self.commits = Commits()
        self.heads: dict[str, CommitId] = {}
        self.began: dict[str, CommitId] = {}
        self.number = 0

    def _commit(self, name: str, parents: Collection[CommitId], action: Action, **more) -> CommitId:
        self.number += 1
        height = 1 + max((self.commits[p].height for p in parents), default=0)
        made = commit(self.number, parents, height=height, environment=name, action=action, **more)
        self.heads[name] = self.commits.add(made)
        return made.id

    def branch(self, name: str, base: str) -> None:
        self.heads[name] = self.began[name] = self.heads[base]

    def apply(self, name: str, **more) -> CommitId:
        return self._commit(name, [self.heads[name]] if name in self.heads else [], Action.APPLY, **more)

    def promote(self, source: str, into: str) -> CommitId:
        return self._commit(into, [self.heads[into], self.heads[source]], Action.PROMOTE)

    def undo(self, name: str) -> CommitId | None:
        """The state that was brought back; None where there was nothing to undo."""
        target = undo_target(self.commits, self.environment(name))
        if target is not None:
            self.restore(name, target[1], Action.UNDO)
        return target[1] if target else None

    def restore(self, name: str, to: CommitId, action: Action = Action.RESTORE) -> None:
        self._commit(name, [self.heads[name]], action, tree=self.commits[to].tree, restores=to)

    def environment(self, name: str) -> Environment:
        return Environment(EnvironmentName(name), self.heads[name], began=self.began.get(name))

    def base(self, into: str, source: str) -> CommitId | None:
        return merge_base(self.commits, self.heads[into], self.heads[source])


def test_an_undo_again_goes_one_change_further_back():
    life = Life()
    a, b, c, _ = (life.apply("prod") for _ in range(4))
    assert [life.undo("prod") for _ in range(4)] == [c, b, a, None]


def test_a_change_after_an_undo_is_undone_first():
    life = Life()
    a, b, _ = (life.apply("prod") for _ in range(3))
    assert life.undo("prod") == b
    undone = life.heads["prod"]
    life.apply("prod")
    assert life.undo("prod") == undone
    assert life.undo("prod") == a
    assert life.undo("prod") is None


def test_what_an_undo_names_is_the_change_and_the_state_before():
    life = Life()
    a, b = life.apply("prod"), life.apply("prod")
    assert undo_target(life.commits, life.environment("prod")) == (b, a)


def test_a_restore_is_a_change_like_any_other():
    life = Life()
    a, b, c = (life.apply("prod") for _ in range(3))
    life.restore("prod", a)
    assert life.undo("prod") == c
    assert life.undo("prod") == b
    life.restore("prod", c)
    restored = life.heads["prod"]
    life.apply("prod")
    assert life.undo("prod") == restored


def test_an_environment_is_never_undone_past_its_beginning():
    life = Life()
    life.apply("prod")
    began = life.apply("prod")
    life.branch("feature", "prod")
    assert life.undo("feature") is None, "it has no change of its own"
    life.apply("feature")
    own = life.heads["feature"]
    life.apply("feature")
    assert [life.undo("feature") for _ in range(3)] == [own, began, None]
    assert life.undo("prod") is not None, "the other one is not touched by it"


def test_a_name_that_is_used_again_begins_anew():
    """An earlier environment of the same name has left commits in the history of the one that this one begins from."""
    life = Life()
    life.apply("prod")
    life.branch("feature", "prod")
    life.apply("feature")
    life.branch("other", "feature")
    life.branch("feature", "other")
    began = life.heads["feature"]
    assert life.undo("feature") is None
    life.apply("feature")
    assert [life.undo("feature") for _ in range(2)] == [began, None]


@given(st.lists(st.sampled_from(["change", "undo", "restore"]), max_size=15), st.data())
def test_undo_is_that_of_an_editor(actions: list[str], data: st.DataObject):
    """The model: a stack of states. A change (a restore too) pushes, an undo pops."""
    life = Life()
    stack = [life.apply("prod")]
    for action in actions:
        if action == "change":
            stack.append(life.apply("prod"))
        elif action == "restore":
            to = data.draw(st.sampled_from([i for i, _ in history(life.commits, life.heads["prod"])]))
            life.restore("prod", to)
            stack.append(life.heads["prod"])
        elif life.undo("prod") is None:
            assert len(stack) == 1
        else:
            stack.pop()
        assert life.commits[life.heads["prod"]].tree == life.commits[stack[-1]].tree


# -- what a promotion is measured from ---------------------------------------------------------------------------------


def test_a_promotion_is_measured_from_the_last_one():
    life = Life()
    began = life.apply("prod")
    life.branch("feature", "prod")
    promoted = life.apply("feature")
    life.apply("prod")
    assert life.base("prod", "feature") == began
    life.promote("feature", "prod")
    life.apply("feature")
    assert life.base("prod", "feature") == promoted


def test_what_was_undone_can_be_promoted_again():
    life = Life()
    began = life.apply("prod")
    life.branch("feature", "prod")
    promoted = life.apply("feature")
    life.promote("feature", "prod")
    life.undo("prod")
    assert life.base("prod", "feature") == began
    life.apply("feature")
    assert life.base("prod", "feature") == began
    life.promote("feature", "prod")
    assert life.base("prod", "feature") == life.heads["feature"]
    life.undo("prod")
    life.undo("prod")
    assert promoted in ancestors(life.commits, [life.heads["prod"]]), "history itself is never rewritten"


def test_what_was_undone_and_restored_is_there():
    life = Life()
    life.apply("prod")
    life.branch("feature", "prod")
    promoted = life.apply("feature")
    there = life.promote("feature", "prod")
    life.undo("prod")
    life.restore("prod", there)
    assert life.base("prod", "feature") == promoted


def test_an_undo_stays_when_somebody_promotes_who_began_before_it():
    """They began from a state with the change, and haven't touched it: it is not theirs to bring back."""
    life = Life()
    life.apply("prod")
    life.branch("feature", "prod")
    life.apply("feature")
    promoted = life.promote("feature", "prod")
    life.branch("other", "prod")
    life.apply("other")
    life.undo("prod")
    assert life.base("prod", "other") == promoted


def test_an_undo_in_the_source_is_a_change_to_promote():
    life = Life()
    life.apply("prod")
    life.branch("feature", "prod")
    life.apply("feature")
    second = life.apply("feature")
    life.promote("feature", "prod")
    life.undo("feature")
    assert life.base("prod", "feature") == second
