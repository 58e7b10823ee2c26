"""Generations form a tree; there is a way between any two that are kept."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.domain.content import Content, Write, after, first


def grown(seed: int, steps: int) -> tuple[Content, dict[int, list[int]]]:
    """A content after refreshes and returns at random, and of each generation the numbers that led there."""
    chance = random.Random(seed)
    content = first(((0, 10),), 0.0)
    line = {0: [0]}
    for at in range(1, steps + 1):
        if chance.random() < 0.4:
            content = content.moved(chance.choice(list(content.generations)), float(at))
        else:
            before = content.current
            made = after(content, Write.SPANS, ((10 * at, 10 * at + 10),), float(at))
            content = content.grown(made, partial=False)
            line[content.current] = [*line[before], content.current]
    return content, line


@given(st.integers(0, 10_000), st.integers(0, 12))
def test_there_is_a_way_between_any_two(seed: int, steps: int) -> None:
    content, line = grown(seed, steps)
    assert content.top == max(content.generations) == len(content.generations) - 1
    for start in content.generations:
        for to in content.generations:
            at = list(line[start])
            for number, forth in content.way(to, start):
                if forth:
                    assert content.generations[number].parent == at[-1]
                    at.append(number)
                else:
                    assert at.pop() == number
            assert at == line[to]


@given(st.integers(0, 10_000), st.integers(0, 12))
def test_what_is_recorded_is_read_back(seed: int, steps: int) -> None:
    content, _ = grown(seed, steps)
    assert Content.decode(content.encode()) == content


@given(st.integers(0, 10_000), st.integers(0, 12), st.integers(0, 13))
def test_what_somebody_saw_since_is_kept(seed: int, steps: int, since: int) -> None:
    content, _ = grown(seed, steps)
    kept, gone = content.retained(float(since))
    assert kept.current == content.current
    assert kept.top == content.top, "numbers are never used twice"
    assert kept.now.held == content.now.held
    for number, generation in content.generations.items():
        if number == content.current or (generation.until is not None and generation.until >= since):
            assert kept.way(number) == content.way(number), "the way there is open"
    for number in gone:
        assert all(number not in [n for n, _ in kept.way(to)] for to in kept.generations if _has_way(kept, to))
    assert kept.retained(float(since))[0] == kept


def _has_way(content: Content, to: int) -> bool:
    try:
        content.way(to)
    except KeyError:
        return False
    return True


def test_nothing_but_the_present_is_kept_in_the_end() -> None:
    content, _ = grown(3, 12)
    kept, _ = content.retained(1000.0)
    assert set(kept.generations) == {content.current}
    with pytest.raises(KeyError):
        kept.way(next(n for n in content.generations if n != content.current))


def test_what_a_write_adds_is_held() -> None:
    content = first(((0, 10),), 0.0)
    made = after(content, Write.SPANS, ((5, 20),), 1.0)
    assert (made.held, made.area) == (((0, 20),), ((5, 20),))
    content = content.grown(made, partial=False)
    assert not content.lacks((0, 20))
    assert content.lacks((0, 21))
    assert content.moved(0, 2.0).lacks((0, 20))
