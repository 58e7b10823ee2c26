from hypothesis import example, given, settings
from hypothesis import strategies as st

from anabranch.stores.keys import changes_something, prefix_end
from anabranch.stores.memory import MemoryStore
from anabranch.stores.sqlite import SqliteStore

TEXT = st.text(st.sampled_from("a%_/\ud7ff\ue000\uffff\U00010000\U0010ffff"), max_size=4)


@given(TEXT, TEXT)
@example("\U0010ffff", "\U0010ffff\U0010ffff")
@example("a\ud7ff", "a\ue000")
def test_a_range_holds_exactly_what_begins_with_the_prefix(prefix, key):
    end = prefix_end(prefix)
    assert (prefix <= key and (end is None or key < end)) == key.startswith(prefix)


@given(TEXT.filter(bool))
def test_the_end_can_be_encoded(prefix):
    end = prefix_end(prefix)
    assert end is None or end.encode() > prefix.encode()


def test_a_swap_that_must_change_something():
    assert changes_something({"a": b"1"}, {"a": b"2"})
    assert changes_something({"a": b"1", "b": b""}, {"a": None, "b": b""})
    assert not changes_something({"a": b"1"}, {"a": b"1"})
    assert not changes_something({}, {"a": b"1"}), "it may be that already"
    assert not changes_something({"a": None}, {})


KEYS = st.sampled_from(["a", "a/1", "a/2", "b", ""])
VALUES = st.none() | st.sampled_from([b"", b"1", b"2"])
CELLS = st.dictionaries(KEYS, VALUES, max_size=4)


@given(st.lists(st.tuples(CELLS, CELLS, st.booleans()), max_size=12))
@settings(max_examples=50, deadline=None)
def test_stores_agree_with_a_dictionary(tmp_path_factory, swaps):
    model: dict[str, bytes] = {}
    with MemoryStore() as memory, SqliteStore(tmp_path_factory.mktemp("model") / "state.db") as sqlite:
        for wished, write, follow in swaps:
            # what it expects is there, or it would nearly always be refused
            expect = {key: model.get(key) for key in wished} if follow else wished
            fits = all(model.get(key) == value for key, value in expect.items())
            if fits:
                after = model | write
                model = {key: value for key, value in after.items() if value is not None}
            for store in (memory, sqlite):
                assert store.swap(expect, write, durable=False) == fits
                assert list(store.scan("").items()) == sorted(model.items())
