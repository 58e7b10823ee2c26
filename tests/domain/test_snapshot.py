from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.strategies import assets

from anabranch.domain.ids import Fingerprint, digest
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import (
    PHYSICAL,
    Definition,
    Input,
    Kind,
    Published,
    SeedSource,
    Snapshot,
    decode,
    encode,
)

texts = st.text(max_size=30)
fingerprints = texts.map(lambda t: Fingerprint(digest(t.encode())))
inputs = st.builds(Input, fingerprints, st.none() | st.lists(texts, max_size=3).map(tuple))
published = st.builds(Published, fingerprints, st.none() | st.dictionaries(texts, fingerprints, max_size=3))
snapshots = st.builds(
    Snapshot,
    asset=assets,
    kind=st.sampled_from(Kind),
    provider=texts,
    fingerprint=fingerprints,
    logic=fingerprints,
    location=texts,
    upstreams=st.dictionaries(assets, inputs, max_size=3),
    properties=st.dictionaries(texts, texts, max_size=3),
    definition=st.builds(Definition, texts, texts, texts),
    published=published,
)


@given(snapshots)
def test_a_snapshot_is_read_back_as_it_was_written(snapshot: Snapshot):
    again = decode(encode(snapshot))
    assert again == snapshot
    assert again.definition == snapshot.definition
    assert again.id == snapshot.id


@given(snapshots, snapshots)
def test_equal_snapshots_have_equal_ids_and_others_other_ones(one: Snapshot, other: Snapshot):
    assert (one == other) == (one.id == other.id)


@given(snapshots, texts)
def test_another_wording_is_the_same_snapshot(snapshot: Snapshot, text: str):
    other = replace(snapshot, definition=Definition(text, text, text))
    assert other == snapshot
    assert other.id == snapshot.id


@given(snapshots)
def test_the_order_of_what_is_said_does_not_matter(snapshot: Snapshot):
    turned = replace(
        snapshot,
        upstreams=dict(reversed(list(snapshot.upstreams.items()))),
        properties=dict(reversed(list(snapshot.properties.items()))),
    )
    assert turned.id == snapshot.id


@given(snapshots)
def test_what_is_physical(snapshot: Snapshot):
    assert snapshot.is_physical == (snapshot.kind in PHYSICAL)


def test_keys():
    some = Fingerprint(digest(b""))
    one = Snapshot(AssetName("s.a"), Kind.FULL, "memory", some, some, "", properties={"key": "a,b"})
    assert one.keys == ("a", "b")
    assert replace(one, properties={}).keys == ()


@given(texts, st.dictionaries(texts, texts, max_size=3))
def test_a_seed_is_read_back_as_it_was_written(content: str, columns: dict[str, str]):
    source = SeedSource(content, columns)
    assert SeedSource.decode(source.encode()) == source
