from hypothesis import given
from hypothesis import strategies as st
from tests.domain.test_commit import environments, ids, texts
from tests.strategies import ENVIRONMENTS, asset, assets, snapshot_id, snapshot_ids

from anabranch.domain import plan_codec
from anabranch.domain.commit import Action
from anabranch.domain.content import Generation, Write, first
from anabranch.domain.ids import PlanId, StepId, TreeId, digest
from anabranch.domain.names import EnvironmentName
from anabranch.domain.plan import Build, Decision, Merge, Plan, Point, Reason, Requirement, Verb

SOME = snapshot_id("some")
names = st.sampled_from(ENVIRONMENTS)
trees = texts.map(lambda t: TreeId(digest(t.encode())))
step_ids = texts.map(StepId)
decisions = st.builds(
    Decision,
    assets,
    st.none() | snapshot_ids,
    st.none() | snapshot_ids,
    st.sampled_from(Verb),
    st.sampled_from(Reason),
    texts,
)
builds = st.builds(
    Build, step_ids, texts, assets, snapshot_ids, st.lists(step_ids, max_size=3).map(tuple), st.booleans()
)
points = st.builds(Point, step_ids, texts, names)
contents = st.builds(
    lambda keys, token, depth: first((), 1.0).grown(
        Generation(0, Write.KEYS, (), 2.0, keys=keys, token=token, depth=depth), partial=False
    ),
    st.lists(texts, max_size=2).map(tuple),
    texts,
    st.integers(0, 3),
)
merges = st.builds(Merge, step_ids, texts, assets, snapshot_ids, snapshot_ids, contents)
plans = st.builds(
    Plan,
    id=texts.map(PlanId),
    action=st.sampled_from(Action),
    environment=names,
    requires=st.builds(Requirement, st.none() | ids, st.none() | st.tuples(names, ids)),
    before=trees,
    tree=trees,
    parents=st.lists(ids, max_size=2).map(tuple),
    decisions=st.lists(decisions, max_size=4).map(tuple),
    steps=st.lists(builds | points | merges, max_size=4).map(tuple),
    total=st.integers(0, 10),
    settings=st.none() | environments,
    author=texts,
    message=texts,
    restores=st.none() | ids,
    repairs=st.lists(assets, max_size=3).map(tuple),
    notes=st.lists(texts, max_size=3).map(tuple),
)


@given(plans)
def test_a_plan_is_read_back_as_it_was_written(plan: Plan):
    again = plan_codec.decode(plan_codec.encode(plan))
    assert again == plan
    assert hash(again) == hash(plan)


@given(plans)
def test_steps_are_told_apart(plan: Plan):
    assert sorted(map(repr, [*plan.builds, *plan.merges, *plan.points])) == sorted(map(repr, plan.steps))
    assert plan.is_empty == (not plan.steps)


def test_what_is_not_in_the_decisions_is_reused():
    decided = tuple(
        Decision(name, None, after, verb, Reason.ADDED)
        for name, after, verb in zip(
            map(asset, range(4)),
            [SOME, SOME, SOME, None],
            [Verb.BUILD, Verb.REUSE, Verb.DEFINE, Verb.REMOVE],
            strict=True,
        )
    )
    tree = TreeId(digest(b""))
    plan = Plan(
        PlanId("1"), Action.APPLY, EnvironmentName("prod"), Requirement(None), tree, tree, (), decided, (), total=10
    )
    others = (Verb.CLONE, Verb.COPY, Verb.MERGE, Verb.REFRESH, Verb.RETURN, Verb.ADOPT, Verb.RELEASE)
    tally = {verb: number for verb, number in plan.tally().items() if verb not in others}
    assert tally == {Verb.BUILD: 1, Verb.REUSE: 8, Verb.DEFINE: 1, Verb.DESCRIBE: 0, Verb.REMOVE: 1}
    assert sum(tally.values()) == plan.total + 1
