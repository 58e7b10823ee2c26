from hypothesis import given
from hypothesis import strategies as st

from anabranch.domain.ids import StepId
from anabranch.domain.journal import Entry, Mark, Progress, replay

STEPS = [StepId(s) for s in ("build:a", "build:b", "point:x")]
entries = st.builds(Entry, st.sampled_from([Mark.BEGIN, Mark.DONE, Mark.FAILED]), st.sampled_from(STEPS)) | st.just(
    Entry(Mark.PUBLISHED)
)
journals = st.lists(entries, max_size=12)


@given(journals)
def test_a_step_has_one_state(journal: list[Entry]):
    found = replay(journal)
    named = {e.step for e in journal if e.step is not None}
    assert found.done | found.in_doubt | found.failed == named
    assert len(found.done) + len(found.in_doubt) + len(found.failed) == len(named)


@given(journals, st.data())
def test_repeating_a_prefix_changes_nothing(journal: list[Entry], data: st.DataObject):
    prefix = journal[: data.draw(st.integers(0, len(journal)))]
    assert replay([*prefix, *journal]) == replay(journal)
    assert replay([*prefix, *prefix]) == replay(prefix)


@given(journals)
def test_what_is_done_stays_done_and_published_stays_published(journal: list[Entry]):
    before = Progress()
    for length in range(len(journal) + 1):
        now = replay(journal[:length])
        assert before.done <= now.done
        assert before.published <= now.published
        before = now


def test_a_crash_at_each_line():
    a, b = STEPS[:2]
    journal = [
        *(Entry(Mark.BEGIN, a), Entry(Mark.DONE, a)),
        *(Entry(Mark.BEGIN, b), Entry(Mark.FAILED, b), Entry(Mark.BEGIN, b), Entry(Mark.DONE, b)),
        Entry(Mark.PUBLISHED),
    ]
    none: frozenset[StepId] = frozenset()
    expected = [
        Progress(),
        Progress(none, frozenset({a})),
        Progress(frozenset({a})),
        Progress(frozenset({a}), frozenset({b})),
        Progress(frozenset({a}), none, frozenset({b})),
        Progress(frozenset({a}), frozenset({b})),
        Progress(frozenset({a, b})),
        Progress(frozenset({a, b}), published=True),
    ]
    assert [replay(journal[:n]) for n in range(len(journal) + 1)] == expected


def test_other_marks_of_the_plan_as_a_whole_mean_nothing():
    assert replay([Entry(Mark.BEGIN), Entry(Mark.DONE)]) == Progress()
