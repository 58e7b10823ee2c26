import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.strategies import assets

from anabranch.domain.ids import Fingerprint, canonical, digest
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


EARLIER = {
    "asset": "s.b",
    "definition": {"dialect": "duckdb", "path": "models/s/b.sql", "text": "select x from s.a"},
    "fingerprint": "f" * 40,
    "kind": "full",
    "location": "anabranch__s.b__ffffffffffff",
    "logic": "1" * 40,
    "properties": {"key": "x"},
    "provider": "models",
    "template": [1, "select x from ", "s.a", " AS a"],
    "upstreams": {"s.a": "a" * 40},
}
"""As snapshots were written before there were fingerprints of columns."""


def test_a_snapshot_of_an_earlier_version_is_read():
    found = decode(json.dumps(EARLIER).encode())
    assert found.upstreams == {"s.a": Input(Fingerprint("a" * 40))}
    assert found.published == Published(Fingerprint("f" * 40), None)
    assert found.definition.template == ("select x from ", "s.a", " AS a")
    said = [
        *(
            EARLIER[k]
            for k in ("asset", "kind", "provider", "fingerprint", "logic", "location", "upstreams", "properties")
        )
    ]
    assert found.id == digest(b"snapshot" + canonical(said)), "its id is what refers to it"
    upstream = replace(found, asset=AssetName("s.a"), fingerprint=Fingerprint("a" * 40))
    assert found.upstreams[AssetName("s.a")].holds(upstream)
    assert not found.upstreams[AssetName("s.a")].holds(replace(upstream, fingerprint=Fingerprint("b" * 40)))


@given(snapshots, st.lists(texts, max_size=3))
def test_what_is_read_holds_as_long_as_it_stays(snapshot: Snapshot, columns: list[str]):
    read = Input.of(snapshot.fingerprint, snapshot.published, columns)
    assert read.holds(snapshot)
    other = Fingerprint(digest(b"other"))
    known = snapshot.published.columns
    if known is None:
        assert not read.holds(replace(snapshot, fingerprint=other))
        return
    assert read.holds(replace(snapshot, fingerprint=other))
    assert not read.holds(replace(snapshot, published=Published(other, known)))
    for name in {*known, *columns}:
        changed = Published(snapshot.published.rows, {**known, name: other})
        assert read.holds(replace(snapshot, published=changed)) == (name not in columns)
