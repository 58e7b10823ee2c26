from typing import cast

import pytest

from anabranch.stores.memory import MemoryStore
from anabranch.testing.store_suite import OpenStore, StoreSuite, named


class TestMemoryStore(StoreSuite):
    @pytest.fixture
    def open_store(self) -> OpenStore:
        return MemoryStore().another


def test_the_clock_is_handed_in():
    time = [100.0]
    store = MemoryStore(clock=lambda: time[0])
    objects = named([b"1"])
    store.put(objects)
    assert store.now() == 100
    assert store.aged(0) == set()
    time[0] = 110
    assert store.aged(10) == set(), "more than ten seconds"
    assert store.aged(9.9) == objects.keys()
    assert store.delete(objects.keys(), 10) == 0
    assert store.delete(objects.keys(), 9.9) == 1


def test_what_was_written_does_not_change_with_the_writers_buffer():
    store = MemoryStore()
    buffer = bytearray(b"1")
    store.swap({}, {"a": cast(bytes, buffer)})
    buffer[0] = 0
    assert store.read(["a"]) == {"a": b"1"}


def test_repr():
    assert repr(MemoryStore()) == "MemoryStore(objects=0, cells=0)"
