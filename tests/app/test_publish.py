"""The ref and what readers see move together, whatever goes wrong."""

from dataclasses import replace

import pytest
from tests.support.project import Model
from tests.support.site import FEATURE, PROD, Process, Site, expected

from anabranch.app.state import REF
from anabranch.domain.commit import encode_environment
from anabranch.domain.ids import CommitId
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.errors import StatementFailed
from anabranch.ports.provider import Tables
from anabranch.providers.memory import MemoryProvider
from anabranch.providers.memory.world import Hook, Moment, World, nothing

MODELS = {
    "s.a": Model(),
    "s.b": Model(reads=("s.a",)),
    "f.x": Model(provider="other"),
    "f.y": Model(provider="other"),
}
CHANGED = {n: m.but(logic="2") for n, m in MODELS.items()}


class Two:
    """A site with a second provider on a world of its own. Both worlds are seen as one."""

    def __init__(self) -> None:
        self.site = Site()
        self.other = World()

    def process(self, models, hook: Hook = nothing, other_hook: Hook = nothing) -> Process:
        providers: dict[str, Tables] = {
            "memory": MemoryProvider(self.site.world, hook=hook),
            "other": MemoryProvider(self.other, name="other", hook=other_hook),
        }
        return self.site.process(models, providers=providers)

    def shown(self, name: EnvironmentName) -> dict[AssetName, str | None]:
        seen = [world.see(name) for world in (self.site.world, self.other)]
        assert seen[0].shown == seen[1].shown
        return {asset: value for each in seen for asset, (_, value) in each.values.items()}

    def is_open(self) -> bool:
        return bool(self.site.state().open_plans())


def failing(moment: Moment, error: BaseException | None = None) -> Hook:
    def hook(now: Moment, name: str) -> None:
        if now is moment:
            raise error or StatementFailed(f"{moment.value} failed")

    return hook


@pytest.fixture
def two() -> Two:
    made = Two()
    made.process(MODELS).apply(PROD)
    return made


def test_one_plan_covers_both(two: Two):
    assert two.shown(PROD) == expected(MODELS)
    process = two.process(CHANGED)
    process.apply(FEATURE)
    assert two.shown(FEATURE) == expected(CHANGED)
    applied = process.promote()
    assert applied is not None
    assert applied.moved == 4
    assert two.shown(PROD) == expected(CHANGED)
    process.drop()
    assert two.shown(FEATURE) == {}


@pytest.mark.parametrize("moment", [Moment.PREPARE, Moment.COMMIT])
@pytest.mark.parametrize("second", [False, True])
def test_where_one_fails_neither_moves(two: Two, moment: Moment, second: bool):
    """Also where the other had shown it already."""
    before = two.process(MODELS).head(PROD)
    hooks = (nothing, failing(moment)) if second else (failing(moment), nothing)
    process = two.process(CHANGED, *hooks)
    with pytest.raises(StatementFailed, match=f"{moment.value} failed"):
        process.apply(PROD)
    assert two.shown(PROD) == expected(MODELS)
    assert process.head(PROD) == before
    assert not two.is_open()
    again = two.process(CHANGED)
    applied = again.apply(PROD)
    assert applied is not None
    assert applied.report.built == ()
    assert two.shown(PROD) == expected(CHANGED)


@pytest.mark.parametrize("second", [False, True])
def test_where_a_new_environment_fails_there_is_none(two: Two, second: bool):
    hooks = (nothing, failing(Moment.COMMIT)) if second else (failing(Moment.COMMIT), nothing)
    process = two.process(CHANGED, *hooks)
    with pytest.raises(StatementFailed):
        process.apply(FEATURE)
    assert two.shown(FEATURE) == {}
    assert FEATURE not in two.site.state().environments()
    assert not two.is_open()


def test_where_a_drop_fails_the_environment_stays(two: Two):
    two.process(CHANGED).apply(FEATURE)
    process = two.process(CHANGED, nothing, failing(Moment.COMMIT))
    with pytest.raises(StatementFailed):
        process.drop()
    assert two.shown(FEATURE) == expected(CHANGED)
    assert FEATURE in two.site.state().environments()
    assert not two.is_open()


def test_where_it_cannot_be_set_right_at_once_the_next_command_does(two: Two):
    commits: list[str] = []

    def hook(moment: Moment, name: str) -> None:
        if moment is Moment.COMMIT:
            commits.append(name)
            if len(commits) == 2:
                raise StatementFailed("commit failed again")

    process = two.process(CHANGED, hook, failing(Moment.COMMIT))
    with pytest.raises(StatementFailed, match=r"^commit failed$"):
        process.apply(PROD)
    assert two.is_open()
    later = two.process(MODELS)
    assert later.w.heal() == []
    two.site.kill(process)
    assert [o.plan.environment for o in later.w.heal()] == [PROD]
    assert two.shown(PROD) == expected(MODELS)
    assert not two.is_open()
    assert later.apply(PROD) is None


@pytest.mark.parametrize("second", [False, True])
def test_ctrl_c_after_the_ref_has_moved_goes_forward(two: Two, second: bool):
    stop = failing(Moment.COMMIT, KeyboardInterrupt())
    process = two.process(CHANGED, *((nothing, stop) if second else (stop, nothing)))
    with pytest.raises(KeyboardInterrupt):
        process.apply(PROD)
    two.site.kill(process)
    later = two.process(CHANGED)
    assert [o.plan.environment for o in later.w.heal()] == [PROD]
    assert two.shown(PROD) == expected(CHANGED)
    assert later.apply(PROD) is None


def test_whoever_moves_on_before_it_is_taken_back_stays(two: Two):
    """The ref had moved; another has seen it, and moved it further."""
    state = two.site.state()
    further: list[CommitId] = []

    def hook(moment: Moment, name: str) -> None:
        if moment is Moment.COMMIT and not further:
            head = state.require(PROD)
            commit = state.commit(head.head)
            moved = replace(commit, parents=(head.head,), height=commit.height + 1, message="further")
            state.keep((), [moved])
            before, after = encode_environment(head), encode_environment(head.at(moved.id))
            assert state.store.swap({REF + PROD: before}, {REF + PROD: after})
            further.append(moved.id)
            raise StatementFailed("commit failed")

    process = two.process(CHANGED, nothing, hook)
    with pytest.raises(StatementFailed):
        process.apply(PROD)
    assert [process.head(PROD)] == further
    assert two.shown(PROD) == expected(CHANGED)
    assert not two.is_open()


def test_what_is_shown_already_is_not_shown_again(two: Two):
    process = two.process(MODELS)
    applied = process.w.apply(process.w.plan_apply(PROD))
    changes = two.site.world.changes
    process.w._applier._publisher.carry_forward(applied.plan)
    assert two.site.world.changes == changes
