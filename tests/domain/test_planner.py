from collections.abc import Collection, Mapping

from hypothesis import given
from hypothesis import strategies as st
from tests.strategies import Nodes, edits, projects
from tests.support.project import SOURCE, Model, Models, snapshots

from anabranch.domain.graph import order
from anabranch.domain.ids import SnapshotId, StepId
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.plan import Build, Decision, Point, Reason, Step, Verb
from anabranch.domain.planner import decide, steps
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.domain.tree import Change

FEATURE = EnvironmentName("feature")
NONE: dict[str, Model] = {}


class Case:
    """A project as it was and as it shall be."""

    def __init__(self, before: Models, after: Models) -> None:
        self.before, self.after = snapshots(before), snapshots(after)
        self.snapshots = {s.id: s for s in [*self.before.values(), *self.after.values()]}
        trees = Nodes().fresh()
        was, shall = (trees.build({a: s.id for a, s in side.items()}) for side in (self.before, self.after))
        self.changes: list[Change] = trees.diff(was, shall)

    def locations(self, found: Mapping[AssetName, Snapshot]) -> set[str]:
        return {s.location for s in found.values() if s.is_physical}

    def decide(self, built: Collection[str] | None = None, **more) -> dict[AssetName, Decision]:
        """By asset; ``built`` by default: all there was before."""
        there = self.locations(self.before) if built is None else built
        return {d.asset: d for d in decide(self.changes, self.snapshots, there, **more)}

    def told(self, asset: str, **more) -> tuple[Verb, Reason, str]:
        found = self.decide(**more)[AssetName(asset)]
        return found.verb, found.reason, found.because

    def steps(self, decisions: Collection[Decision], **more) -> tuple[Step, ...]:
        return steps(decisions, self.snapshots, FEATURE, ["memory"], self.after.get, **more)


CHAIN = {
    "raw.u": SOURCE,
    "s.a": Model(reads=("raw.u",)),
    "s.b": Model(reads=("s.a",)),
    "s.c": Model(reads=("s.b",)),
    "s.d": Model(reads=("s.c", "raw.u")),
}


# -- decisions: what and why -------------------------------------------------------------------------------------------


def test_a_new_asset_is_built_a_new_source_defined():
    case = Case(NONE, {"raw.u": SOURCE, "s.a": Model(reads=("raw.u",)), "s.e": Model(kind=Kind.EMBEDDED)})
    assert case.told("s.a") == (Verb.BUILD, Reason.ADDED, "new")
    assert case.told("raw.u") == (Verb.DEFINE, Reason.ADDED, "new")
    assert case.told("s.e") == (Verb.DEFINE, Reason.ADDED, "new")
    assert case.told("s.a", built=case.locations(case.after)) == (Verb.REUSE, Reason.ADDED, "new")


def test_a_changed_definition_says_what_changed():
    case = Case(CHAIN, {**CHAIN, "s.a": Model("2", ("raw.u",))})
    assert case.told("s.a") == (Verb.BUILD, Reason.CHANGED, "code changed")
    told = case.told("s.a", explain=lambda before, after: f"from {before.logic[:3]} to {after.logic[:3]}")
    logics = [found[AssetName("s.a")].logic[:3] for found in (case.before, case.after)]
    assert told == (Verb.BUILD, Reason.CHANGED, f"from {logics[0]} to {logics[1]}")


def test_what_reads_a_change_says_which_and_through_what():
    case = Case(CHAIN, {**CHAIN, "s.a": Model("2", ("raw.u",))})
    assert case.told("s.b") == (Verb.BUILD, Reason.UPSTREAM_CHANGED, "reads s.a")
    assert case.told("s.c") == (Verb.BUILD, Reason.UPSTREAM_CHANGED, "reads s.a through s.b")
    assert case.told("s.d") == (Verb.BUILD, Reason.UPSTREAM_CHANGED, "reads s.a through s.c")
    assert case.decide().keys() == {"s.a", "s.b", "s.c", "s.d"}


BY_COLUMN = {
    "s.a": Model(columns={"x": "1", "y": "1", "z": "1", "w": "1"}),
    "s.b": Model(reads=("s.a",), uses={"s.a": ("x",)}, columns={"n": "1"}),
    "s.c": Model(reads=("s.b",), uses={"s.b": ("n",)}),
    "s.d": Model(reads=("s.a",), uses={"s.a": ("x", "y", "z")}),
}


def test_a_column_that_changed_is_named():
    case = Case(BY_COLUMN, {**BY_COLUMN, "s.a": Model(columns={"x": "2", "y": "1", "z": "1", "w": "1"})})
    assert case.told("s.b") == (Verb.BUILD, Reason.UPSTREAM_CHANGED, "reads x of s.a")
    assert case.told("s.c") == (Verb.BUILD, Reason.UPSTREAM_CHANGED, "reads n through s.b")
    assert case.told("s.d") == (Verb.BUILD, Reason.UPSTREAM_CHANGED, "reads x of s.a")


def test_of_many_columns_that_changed_two_are_named():
    case = Case(BY_COLUMN, {**BY_COLUMN, "s.a": Model(columns={"x": "1", "y": "2", "z": "2", "w": "1"})})
    assert case.told("s.d") == (Verb.BUILD, Reason.UPSTREAM_CHANGED, "reads y and z of s.a")
    assert case.decide().keys() == {"s.a", "s.d"}
    case = Case(BY_COLUMN, {**BY_COLUMN, "s.a": Model(columns=dict.fromkeys("xyzw", "2"))})
    assert case.told("s.d")[2] == "reads x, y and 1 more of s.a"


def test_a_column_that_nobody_reads_changes_nobody():
    case = Case(BY_COLUMN, {**BY_COLUMN, "s.a": Model(columns={**dict.fromkeys("xyzw", "1"), "new": "1"})})
    assert case.decide().keys() == {"s.a"}


def test_rows_that_changed_are_told_of_with_what_changed_them():
    after = {**BY_COLUMN, "s.a": Model("2", columns=dict.fromkeys("xyzw", "1"))}
    assert Case(BY_COLUMN, after).told("s.b")[2] == "reads the rows of s.a"
    told = Case(BY_COLUMN, after).told("s.b", explain=lambda before, after: "filter changed")
    assert told[2] == "reads the rows of s.a, whose filter changed"
    told = Case(BY_COLUMN, after).told("s.b", explain=lambda before, after: "column y is new; filter changed")
    assert told[2] == "reads the rows of s.a"
    assert Case(BY_COLUMN, after).told("s.c")[2] == "reads s.a through s.b"


def test_another_kind_is_a_change():
    case = Case(CHAIN, {**CHAIN, "s.c": Model(reads=("s.b",), kind=Kind.VIEW)})
    assert case.told("s.c")[:2] == (Verb.BUILD, Reason.CHANGED)


def test_another_description_builds_nothing():
    case = Case(CHAIN, {**CHAIN, "s.a": Model(reads=("raw.u",), description="new")})
    assert case.decide().keys() == {"s.a"}
    assert case.told("s.a") == (Verb.DESCRIBE, Reason.DESCRIBED, "description changed")


def test_another_wording_is_no_change_at_all():
    assert Case(CHAIN, {**CHAIN, "s.a": Model(reads=("raw.u",), wording="-- hello")}).decide() == {}


def test_what_is_no_longer_there_is_removed():
    case = Case(CHAIN, {n: m for n, m in CHAIN.items() if n != "s.d"})
    assert case.told("s.d") == (Verb.REMOVE, Reason.REMOVED, "no longer in the project")


def test_what_was_built_before_is_reused():
    case = Case(CHAIN, {**CHAIN, "s.c": Model("2", ("s.b",))})
    assert case.told("s.c", built=case.locations(case.after))[0] is Verb.REUSE


def test_what_drifted_is_built_again_changed_or_not():
    case = Case(CHAIN, {**CHAIN, "s.c": Model(reads=("s.b",), description="new")})
    b, c = (case.after[AssetName(n)] for n in ("s.b", "s.c"))
    drifted = {b.asset: b.id, c.asset: c.id}
    assert case.told("s.b", drifted=drifted) == (
        Verb.BUILD,
        Reason.DRIFTED,
        "missing or altered in the warehouse",
    )
    assert case.told("s.c", drifted=drifted)[:2] == (Verb.BUILD, Reason.DESCRIBED)
    again = [s for s in case.steps(case.decide(drifted=drifted).values(), again=drifted) if isinstance(s, Build)]
    assert [(s.asset, s.again, s.needs) for s in again] == [
        ("s.b", True, ()),
        ("s.c", True, (StepId("build:s.b"),)),
    ]


@given(st.data())
def test_every_change_gets_one_decision_that_fits(data: st.DataObject):
    before = data.draw(projects())
    after = data.draw(edits(data.draw(edits(before))))
    case = Case(before, after)
    built = data.draw(
        st.sets(st.sampled_from(sorted(case.locations(case.before) | case.locations(case.after)) or [""]))
    )
    decisions = list(case.decide(built).values())
    assert [(d.asset, d.before, d.after) for d in decisions] == [(c.asset, c.before, c.after) for c in case.changes]
    for decision in decisions:
        old, new = case.before.get(decision.asset), case.after.get(decision.asset)
        assert decision.because
        if new is None:
            assert (decision.verb, decision.reason) == (Verb.REMOVE, Reason.REMOVED)
        elif old is not None and (old.fingerprint, old.kind) == (new.fingerprint, new.kind):
            assert (decision.verb, decision.reason) == (Verb.DESCRIBE, Reason.DESCRIBED)
        elif not new.is_physical:
            assert decision.verb is Verb.DEFINE
        else:
            assert decision.verb is (Verb.REUSE if new.location in built else Verb.BUILD)
        if decision.reason is Reason.UPSTREAM_CHANGED:
            assert old is not None
            assert new is not None
            assert old.logic == new.logic
            assert decision.because.startswith("reads ")


# -- steps: in which order ---------------------------------------------------------------------------------------------


def upstreams_seen_through(found: Mapping[AssetName, Snapshot], asset: AssetName) -> set[AssetName]:
    """By definition: what it reads, and instead of an embedded one what that reads."""
    reached: set[AssetName] = set()
    for upstream in found[asset].upstreams:
        reached |= {upstream} if found[upstream].is_physical else upstreams_seen_through(found, upstream)
        if found[upstream].kind is Kind.EXTERNAL:
            reached.add(upstream)
    return reached


@given(st.data())
def test_a_build_needs_the_builds_that_it_reads(data: st.DataObject):
    before = data.draw(projects())
    after = data.draw(edits(before))
    case = Case(before, after)
    built = data.draw(st.sets(st.sampled_from(sorted(case.locations(case.after)) or [""])))
    decisions = case.decide(built)
    found = case.steps(decisions.values())
    builds = {s.asset: s for s in found if isinstance(s, Build)}
    assert builds.keys() == {d.asset for d in decisions.values() if d.verb is Verb.BUILD}
    for asset, step in builds.items():
        assert step.snapshot == case.after[asset].id
        assert set(step.needs) == {builds[u].id for u in upstreams_seen_through(case.after, asset) if u in builds}
    order({s.id: s.needs for s in builds.values()})
    assert [s for s in found if isinstance(s, Point)] == [Point(StepId("point:memory"), "memory", FEATURE)]
    assert isinstance(found[-1], Point)
    assert len({s.id for s in found}) == len(found)


def test_embedded_models_are_seen_through():
    models = {
        "s.a": Model(),
        "s.e1": Model(kind=Kind.EMBEDDED, reads=("s.a",)),
        "s.e2": Model(kind=Kind.EMBEDDED, reads=("s.e1",)),
        "s.b": Model(reads=("s.e2",)),
    }
    case = Case(NONE, models)
    (a, b, _) = case.steps(case.decide().values())
    assert isinstance(a, Build)
    assert isinstance(b, Build)
    assert b.needs == (a.id,)


def test_no_provider_has_nothing_to_show():
    case = Case(NONE, NONE)
    assert steps((), {}, FEATURE, (), case.after.get) == ()


def test_a_snapshot_that_only_a_reader_has_moved_is_described_anew():
    """Its recorded upstreams are others, its data is the same."""
    old = snapshots(CHAIN)[AssetName("s.b")]
    new = Snapshot(old.asset, old.kind, old.provider, old.fingerprint, old.logic, old.location, {})
    known: dict[SnapshotId, Snapshot] = {old.id: old, new.id: new}
    (found,) = decide([Change(old.asset, old.id, new.id)], known, ())
    assert (found.verb, found.reason, found.because) == (Verb.DESCRIBE, Reason.DESCRIBED, "described anew")
