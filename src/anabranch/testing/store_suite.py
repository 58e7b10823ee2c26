"""What every Store obeys, as tests. An adapter's own test is a few lines::

    class TestMyStore(StoreSuite):
        @pytest.fixture
        def open_store(self, tmp_path):
            return lambda: MyStore(tmp_path / "state")

``open_store`` is a fixture that gives a callable; each call opens another handle on one store, which is empty before
the test. ``pytest.register_assert_rewrite("anabranch.testing")`` in a conftest.py has pytest explain the assertions.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from anabranch.domain.ids import ObjectId, digest
from anabranch.errors import StateUnavailable
from anabranch.ports.store import Store

OpenStore = Callable[[], Store]
T = TypeVar("T")

MEGABYTE = bytes(range(256)) * 4096
LONG_AGO = 3600.0
TICK = 0.02
"""Seconds after which a store's clock has surely moved on."""

ODD_KEYS = (
    *("", " ", "%", "%%", "_", "a", "a%", "a%b", "a_", "a_b", "a/", "a/1", "a/10", "a/2", "aXb", "A", "ab", "b"),
    *("a\\", "a'", 'a"', "a?", "a*", "a[b]", "a\x01", "a\x7f", "a\n"),
    *("a\u00e9", "a\u7fff", "a\ud7ff", "a\ue000", "a\uffff", "a\uffff\uffff", "a\U00010000", "a\U0010ffff"),
    *("a\U0010ffffz", "\uffff", "\U0001f600", "\U0010ffff", "\U0010ffff\U0010ffff"),
)


def named(bodies: list[bytes]) -> dict[ObjectId, bytes]:
    return {digest(body): body for body in bodies}


def in_threads(count: int, work: Callable[[int], T]) -> list[T]:
    """``work(0)`` … ``work(count - 1)`` at once, begun together; what they return. Raises what one of them raises."""
    start = threading.Barrier(count)
    results: dict[int, T] = {}
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            start.wait(60)
            results[number] = work(number)
        except BaseException as error:  # noqa: BLE001  # handed on below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "blocked for a minute"
    if errors:
        raise errors[0]
    return [results[number] for number in range(count)]


def increment(store: Store, key: str) -> int:
    """Adds one to the number in a cell, however many others do the same; how often it had to try."""
    tries = 0
    while True:
        tries += 1
        old = store.read([key]).get(key)
        if store.swap({key: old}, {key: str(int(old or b"0") + 1).encode()}, durable=False):
            return tries


def is_refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except StateUnavailable as error:
        return bool(error.hint)
    return False


class StoreSuite:
    # --- objects

    def test_an_object_is_given_back_as_it_was_put(self, open_store: OpenStore) -> None:
        objects = named([b"", b"text", b"\x00\xff\x00 binary \x80", MEGABYTE])
        with open_store() as store:
            store.put(objects)
            assert store.get(objects.keys()) == objects
            assert all(type(body) is bytes for body in store.get(objects.keys()).values())

    def test_unknown_objects_are_left_out(self, open_store: OpenStore) -> None:
        objects = named([b"known"])
        unknown = digest(b"unknown")
        with open_store() as store:
            store.put(objects)
            assert store.get([unknown]) == {}
            assert store.get([]) == {}
            assert store.get([unknown, *objects, *objects]) == objects

    def test_putting_nothing_is_harmless(self, open_store: OpenStore) -> None:
        with open_store() as store:
            store.put({})
            assert store.aged(-LONG_AGO) == set()

    def test_what_is_there_already_stays_as_it_is(self, open_store: OpenStore) -> None:
        identifier = digest(b"name")
        with open_store() as store:
            store.put({identifier: b"first"})
            store.put({identifier: b"second", **named([b"other"])})
            assert store.get([identifier]) == {identifier: b"first"}

    def test_ten_thousand_objects_in_one_go(self, open_store: OpenStore) -> None:
        objects = named([str(n).encode() * 40 for n in range(10_000)])
        with open_store() as store:
            store.put(objects)
            store.put(objects)
            assert store.get(objects.keys()) == objects
            assert store.aged(-LONG_AGO) == objects.keys()
            assert store.delete(objects.keys(), -LONG_AGO) == len(objects)
            assert store.get(objects.keys()) == {}

    def test_age_counts_from_the_last_put(self, open_store: OpenStore) -> None:
        old, young, again = named([b"old"]), named([b"young"]), named([b"again"])
        with open_store() as store:
            store.put(old | again)
            time.sleep(TICK)
            between = store.now()
            time.sleep(TICK)
            store.put(young | again)
            assert store.aged(store.now() - between) == old.keys()
            assert store.aged(LONG_AGO) == set()
            assert store.aged(-LONG_AGO) == {*old, *young, *again}

    def test_only_what_is_still_old_is_deleted(self, open_store: OpenStore) -> None:
        old, again, others = named([b"old"]), named([b"again"]), named([b"others"])
        with open_store() as store, open_store() as writer:
            store.put(old | again | others)
            time.sleep(TICK)
            between = store.now()
            found = store.aged(store.now() - between)
            assert found == {*old, *again, *others}
            time.sleep(TICK)
            writer.put(again)  # somebody needs it after all
            assert store.delete([*old, *again, digest(b"unknown")], store.now() - between) == 1
            assert store.get({*old, *again, *others}) == again | others
            assert store.delete([], -LONG_AGO) == 0

    def test_an_object_put_again_is_never_deleted(self, open_store: OpenStore) -> None:
        objects = named([str(n).encode() for n in range(50)])
        with open_store() as store, open_store() as janitor:
            for _ in range(6):
                store.put(objects)
                time.sleep(TICK)
                between = store.now()
                time.sleep(TICK)

                def work(number: int, between: float = between) -> float:
                    begin = store.now()
                    if number:
                        janitor.delete(objects.keys(), begin - between)
                    else:
                        store.put(objects)
                    return store.now() - begin

                _, took = in_threads(2, work)
                if took < TICK:  # else "older than" may have come to mean what was put just now
                    assert store.get(objects.keys()) == objects

    # --- cells

    def test_a_cell_is_given_back_as_it_was_written(self, open_store: OpenStore) -> None:
        cells = {"empty": b"", "binary": b"\x00\xff\x00 \x80", "big": MEGABYTE, "ref/prod": b"1"}
        with open_store() as store:
            assert store.swap({}, cells)
            assert store.read(cells) == cells
            assert store.read([]) == {}
            assert store.read(["nothing"]) == {}
            assert store.read(["ref/prod", "nothing", "ref/prod"]) == {"ref/prod": b"1"}
            assert all(type(value) is bytes for value in store.read(cells).values())
            assert store.swap({"big": MEGABYTE}, {"big": MEGABYTE[:-1]})
            assert not store.swap({"big": MEGABYTE}, {"big": b""})

    def test_keys_are_plain_text_whatever_is_in_them(self, open_store: OpenStore) -> None:
        cells = {key: key.encode() for key in ODD_KEYS}
        with open_store() as store:
            assert store.swap({}, cells)
            assert store.read(ODD_KEYS) == cells
            for key in ODD_KEYS:
                assert store.read([key]) == {key: cells[key]}, repr(key)
                assert store.swap({key: cells[key]}, {key: b"new"}), repr(key)

    def test_thousands_of_cells_at_once(self, open_store: OpenStore) -> None:
        cells = {f"physical/anabranch__sales.orders__{n:012x}": str(n).encode() for n in range(3000)}
        with open_store() as store:
            assert store.swap(dict.fromkeys(cells), cells)
            assert store.read(cells) == cells
            assert list(store.scan("physical/").items()) == sorted(cells.items())
            assert store.swap(cells, dict.fromkeys(cells))
            assert store.scan("") == {}

    def test_a_swap_needs_the_values_it_expects(self, open_store: OpenStore) -> None:
        with open_store() as store:
            assert not store.swap({"a": b"1"}, {"a": b"2"})
            assert store.swap({"a": None}, {"a": b"1"})
            assert not store.swap({"a": None}, {"a": b"2"})
            assert not store.swap({"a": b""}, {"a": b"2"})
            assert store.read(["a"]) == {"a": b"1"}
            assert store.swap({"a": b"1"}, {"a": b""})
            assert not store.swap({"a": None}, {"a": b"2"}), "an empty cell exists"
            assert store.swap({"a": b""}, {"a": b"2"})

    def test_what_is_expected_need_not_be_written_nor_the_reverse(self, open_store: OpenStore) -> None:
        with open_store() as store:
            assert store.swap({"guard": None}, {"a": b"1", "guard2": b""})
            assert store.swap({"guard2": b"", "guard": None}, {"b": b"1"})
            assert not store.swap({"guard": b""}, {"b": b"2"})
            assert store.swap({"a": b"1", "nothing": None}, {})
            assert not store.swap({"a": b"2"}, {})
            assert store.swap({}, {})
            assert store.scan("") == {"a": b"1", "b": b"1", "guard2": b""}

    def test_all_or_nothing(self, open_store: OpenStore) -> None:
        before = {"a": b"1", "b": b"1", "c": b"1"}
        with open_store() as store:
            assert store.swap({}, before)
            wrongs: list[dict[str, bytes | None]] = [{"a": b"0"}, {"c": b"0"}, {"c": None}, {"new": b""}]
            for wrong in wrongs:
                assert not store.swap({**before, **wrong}, {"a": b"2", "b": None, "new": b"2"})
                assert store.scan("") == before
            assert store.swap(before, {"a": b"2", "b": None, "new": b"2"})
            assert store.scan("") == {"a": b"2", "c": b"1", "new": b"2"}

    def test_none_deletes(self, open_store: OpenStore) -> None:
        with open_store() as store:
            assert store.swap({}, {"a": b"1", "b": b"1"})
            assert store.swap({"a": b"1"}, {"a": None, "nothing": None})
            assert store.scan("") == {"b": b"1"}
            assert store.swap({"a": None}, {"a": b"2"})
            assert store.read(["a"]) == {"a": b"2"}

    def test_a_scan_takes_the_prefix_literally_and_sorts_by_code_point(self, open_store: OpenStore) -> None:
        cells = {key: key.encode() for key in ODD_KEYS}
        with open_store() as store:
            assert store.swap({}, cells)
            for prefix in (*ODD_KEYS, "a" * 9, "zz", "\ud7ff", "\U0010ffff" * 3):
                expected = [(key, cells[key]) for key in sorted(ODD_KEYS) if key.startswith(prefix)]
                assert list(store.scan(prefix).items()) == expected, repr(prefix)

    # --- handles

    def test_handles_share_what_is_there(self, open_store: OpenStore) -> None:
        objects = named([b"shared"])
        with open_store() as one, open_store() as other:
            one.put(objects)
            assert one.swap({}, {"a": b"1"}, durable=False)
            assert other.get(objects.keys()) == objects
            assert other.read(["a"]) == {"a": b"1"}
            assert other.swap({"a": b"1"}, {"a": None})
            assert one.scan("") == {}

    def test_what_was_written_outlives_the_handle(self, open_store: OpenStore) -> None:
        with open_store() as keeper:
            with open_store() as store:
                assert store.swap({}, {"a": b"1"}, durable=False)
            with open_store() as store:
                assert store.read(["a"]) == {"a": b"1"}
            assert keeper.read(["a"]) == {"a": b"1"}

    def test_one_clock_for_all(self, open_store: OpenStore) -> None:
        with open_store() as one, open_store() as other:
            times = [one.now(), other.now(), one.now(), other.now()]
        assert times == sorted(times)
        assert times[-1] - times[0] < 10

    def test_the_place_is_told(self, open_store: OpenStore) -> None:
        with open_store() as store:
            assert store.place
            assert store.place.isprintable()

    def test_closing_twice_is_harmless(self, open_store: OpenStore) -> None:
        unused = open_store()
        unused.close()
        unused.close()
        with open_store() as store:
            assert store.swap({}, {"a": b"1"})
            store.close()
            store.close()

    def test_a_closed_handle_is_refused_with_a_hint(self, open_store: OpenStore) -> None:
        closed = open_store()
        assert closed.swap({}, {"a": b"1"})
        with open_store() as store:
            closed.close()
            calls: Mapping[str, Callable[[], object]] = {
                "put": lambda: closed.put(named([b"1"])),
                "get": lambda: closed.get([digest(b"1")]),
                "aged": lambda: closed.aged(0),
                "delete": lambda: closed.delete([digest(b"1")], 0),
                "read": lambda: closed.read(["a"]),
                "scan": lambda: closed.scan(""),
                "swap": lambda: closed.swap({}, {"a": b"2"}),
            }
            assert [name for name, call in calls.items() if not is_refused(call)] == []
            assert store.read(["a"]) == {"a": b"1"}, "the other handle goes on"

    # --- at the same time

    def test_no_increment_is_lost(self, open_store: OpenStore) -> None:
        with open_store() as one, open_store() as other:
            in_threads(4, lambda n: [increment((one, other)[n % 2], "counter") for _ in range(20)])
            assert one.read(["counter"]) == {"counter": b"80"}

    def test_one_of_many_creates(self, open_store: OpenStore) -> None:
        with open_store() as one, open_store() as other:
            for turn in range(10):
                key = f"lease/{turn}"

                def create(n: int, key: str = key) -> bool:
                    return (one, other)[n % 2].swap({key: None}, {key: str(n).encode()}, durable=False)

                won = in_threads(4, create)
                assert won.count(True) == 1
                assert one.read([key]) == {key: str(won.index(True)).encode()}

    def test_two_who_guard_each_other_never_both_write(self, open_store: OpenStore) -> None:
        with open_store() as one, open_store() as other:
            for turn in range(20):
                a, b = f"a/{turn}", f"b/{turn}"

                def write(n: int, a: str = a, b: str = b) -> bool:
                    guard, mine = ((a, b), (b, a))[n]
                    return (one, other)[n].swap({guard: None}, {mine: b""}, durable=False)

                assert in_threads(2, write).count(True) == 1

    def test_who_touches_other_cells_is_never_in_the_way(self, open_store: OpenStore) -> None:
        with open_store() as one, open_store() as other:
            tries = in_threads(6, lambda n: [increment((one, other)[n % 2], f"counter/{n}") for _ in range(20)])
            assert {t for each in tries for t in each} == {1}
            assert set(one.scan("counter/").values()) == {b"20"}

    def test_many_cells_in_any_order_never_lock_each_other_out(self, open_store: OpenStore) -> None:
        keys = [f"k/{n}" for n in range(40)]
        with open_store() as one, open_store() as other:

            def write(n: int) -> None:
                order = keys if n % 2 else keys[::-1]
                for turn in range(10):
                    value = f"{n} {turn}".encode()
                    assert (one, other)[n % 2].swap({}, dict.fromkeys(order, value), durable=False)

            in_threads(4, write)
            assert len(set(one.read(keys).values())) == 1

    def test_objects_put_in_any_order_never_lock_each_other_out(self, open_store: OpenStore) -> None:
        bodies = [str(n).encode() for n in range(200)]
        with open_store() as one, open_store() as other:

            def write(n: int) -> None:
                objects = named(bodies if n % 2 else bodies[::-1])
                for _ in range(5):
                    (one, other)[n % 2].put(objects)
                    (one, other)[n % 2].delete(list(objects)[n::4], LONG_AGO)

            in_threads(4, write)
            assert len(one.get(named(bodies).keys())) == len(bodies)

    def test_reading_and_scanning_see_one_moment(self, open_store: OpenStore) -> None:
        keys = [f"pair/{n:04}" for n in range(700)]
        with open_store() as writer, open_store() as reader:
            assert writer.swap({}, dict.fromkeys(keys, b"0"))
            done = threading.Event()

            def work(n: int) -> int:
                if n:
                    for turn in range(1, 16):
                        assert writer.swap({}, dict.fromkeys(keys, str(turn).encode()), durable=False)
                    done.set()
                    return 0
                looks = 0
                while not done.is_set():
                    assert len(set(reader.read(keys).values())) == 1
                    assert len(set(reader.scan("pair/").values())) == 1
                    looks += 1
                return looks

            in_threads(2, work)
            assert set(reader.scan("pair/").values()) == {b"15"}
