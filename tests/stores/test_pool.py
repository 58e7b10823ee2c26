import threading

import pytest

from anabranch.errors import StateUnavailable
from anabranch.stores.pool import IDLE, Pool
from anabranch.testing.store_suite import in_threads


class Connections:
    """Numbers that stand for connections."""

    def __init__(self) -> None:
        self.made = 0
        self.closed: list[int] = []
        self.stale: set[int] = set()

    def pool(self, fork_patience: float = 10) -> Pool[int]:
        return Pool("here", self.make, self.closed.append, lambda c: c not in self.stale, fork_patience)

    def make(self) -> int:
        self.made += 1
        return self.made


@pytest.fixture
def connections() -> Connections:
    return Connections()


def test_one_after_the_other_use_the_same(connections):
    pool = connections.pool()
    for _ in range(3):
        with pool.use() as connection:
            assert connection == 1


def test_one_inside_the_other_use_two(connections):
    pool = connections.pool()
    with pool.use() as one, pool.use() as other:
        assert {one, other} == {1, 2}


def test_few_are_kept(connections):
    pool = connections.pool()
    meet = threading.Barrier(IDLE + 3)

    def work(_: int) -> None:
        with pool.use():
            meet.wait(10)

    in_threads(IDLE + 3, work)
    assert len(connections.closed) == 3
    pool.close()
    assert sorted(connections.closed) == list(range(1, IDLE + 4))


def test_what_an_exception_passed_through_is_not_used_again(connections):
    pool = connections.pool()
    with pytest.raises(KeyError), pool.use():
        raise KeyError
    assert connections.closed == [1]
    with pool.use() as connection:
        assert connection == 2


def test_what_went_stale_is_not_used_again(connections):
    pool = connections.pool()
    with pool.use(), pool.use():
        pass
    connections.stale = {1, 2}
    with pool.use() as connection:
        assert connection == 3
    assert sorted(connections.closed) == [1, 2]


def test_closing_lets_those_in_use_finish(connections):
    pool = connections.pool()
    with pool.use():
        pool.close()
        assert connections.closed == []
    assert connections.closed == [1]
    with pytest.raises(StateUnavailable, match="here has been closed"), pool.use():
        pass


def test_a_connection_that_cannot_be_made_is_not_counted(connections):
    def fail() -> int:
        raise OSError("no")

    pool = Pool("here", fail, connections.closed.append, lambda _: True, fork_patience=10)
    with pytest.raises(OSError, match="no"), pool.use():
        pass
    pool.before_fork()
    pool.after_fork(child=False)


def test_a_fork_waits_for_those_in_use_and_nothing_crosses_it(connections):
    pool = connections.pool()
    in_use, finish, forked = threading.Event(), threading.Event(), threading.Event()
    events: list[str] = []

    def work(n: int) -> None:
        if n == 0:
            with pool.use(), pool.use():
                in_use.set()
                finish.wait(10)
                events.append("done")
        elif n == 1:
            in_use.wait(10)
            threading.Timer(0.05, finish.set).start()
            pool.before_fork()
            events.append("fork")
            assert sorted(connections.closed) == [1, 2]
            forked.set()
            threading.Event().wait(0.05)
            events.append("after")
            pool.after_fork(child=False)
        else:
            forked.wait(10)
            with pool.use() as connection:
                events.append("next")
                assert connection == 3

    in_threads(3, work)
    assert events == ["done", "fork", "after", "next"]


def test_a_fork_does_not_wait_for_ever(connections):
    pool = connections.pool(fork_patience=0.01)
    with pool.use():
        pool.before_fork()
        pool.after_fork(child=True)
    with pool.use() as connection:
        assert connection in {1, 2}
