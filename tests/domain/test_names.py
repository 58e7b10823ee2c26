import re
from functools import partial

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from anabranch.domain.ids import Fingerprint, canonical, digest, short
from anabranch.domain.names import (
    ENVIRONMENT_LENGTH,
    HASH_LENGTH,
    PART_LENGTH,
    AssetName,
    EnvironmentName,
    asset_name,
    environment_for_branch,
    environment_name,
    nearest,
    shorten,
)
from anabranch.domain.places import Suffix, is_physical_schema, physical_location, shown_location
from anabranch.errors import InvalidName

HASHED = re.compile(rf"_[0-9a-f]{{{HASH_LENGTH}}}\Z")
ODD_BRANCHES = [
    *("feature/x; drop schema", "--help", "-", "_", "__", "/", "a//b", "…", "日本語", "naïve/Ünïcödé", "İstanbul", "K"),
    *("x" * 300, "feature/" + "long-" * 60, "1", "007", "2026-01-hotfix", "select", "table", "public", "main", "HEAD"),
    *("refs/heads/x", "a b", "a\tb", "a\nb", "a'b", 'a"b', "a`b", "a$(rm -rf)", "a%20b", "😀", ".", "..", "a.b.c"),
    *("anabranch", "anabranch__prod", "prod", "PROD", "Prod", "ﬁx", "ⅷ", "²", "٣", "a\x00b", "\u202edlrow"),
]
branches = (
    st.text(max_size=60) | st.from_regex(r"[a-zA-Z0-9/_.-]{1,50}", fullmatch=True) | st.sampled_from(ODD_BRANCHES)
)


# -- environments ------------------------------------------------------------------------------------------------------


@given(branches)
def test_every_branch_has_an_environment_with_a_valid_name(branch: str):
    if not branch.strip():
        with pytest.raises(InvalidName) as caught:
            environment_for_branch(branch)
        assert caught.value.hint
        return
    for is_free in (lambda _: True, lambda _: False):
        name = environment_for_branch(branch, is_free)
        assert environment_name(name) == name
        assert len(name) <= ENVIRONMENT_LENGTH
        assert name.isascii()
        assert environment_for_branch(branch, is_free) == name


@pytest.mark.parametrize("branch", ODD_BRANCHES, ids=lambda b: ascii(b)[:30])
def test_odd_branches(branch: str):
    assert environment_name(environment_for_branch(branch))


@pytest.mark.parametrize(
    ("branch", "name"),
    [
        ("feature/New-Price", "feature_new_price"),
        ("main", "main"),
        ("--help", "help"),
        ("release/1.2", "release_1_2"),
        ("a//b__c", "a_b_c"),
        ("x" * ENVIRONMENT_LENGTH, "x" * ENVIRONMENT_LENGTH),
        ("select", "select"),
    ],
)
def test_plain_branches_are_recognised(branch: str, name: str):
    assert environment_for_branch(branch) == name


@pytest.mark.parametrize(
    ("branch", "stem"),
    [
        ("feature/x; drop schema", "feature_x_drop_schema"),
        ("x" * 300, "x" * (ENVIRONMENT_LENGTH - HASH_LENGTH - 1)),
        ("007", "b_007"),
        ("日本語", "branch"),
        ("naïve", "na_ve"),
        ("_", "branch"),
    ],
)
def test_what_loses_more_than_case_and_punctuation_ends_in_a_hash(branch: str, stem: str):
    name = environment_for_branch(branch)
    assert HASHED.search(name)
    assert HASHED.sub("", name) == stem


def plain(branch: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", branch.lower()).strip("_")


@given(branches, branches)
@example("x" * 300, "x" * 301)
@example("a;b", "a:b")
@example("日本", "本日")
@example("K", "k")  # the Kelvin sign is a k in lower case
def test_two_branches_share_a_name_only_where_they_differ_in_case_and_punctuation(one: str, other: str):
    assume(one.strip() and other.strip() and one != other)
    if environment_for_branch(one) == environment_for_branch(other):
        assert plain(one) == plain(other)
        assert re.fullmatch(r"[A-Za-z0-9/._ -]+", one + other)


@given(st.lists(branches, unique=True, max_size=8))
def test_whoever_comes_second_gets_another_name(found: list[str]):
    taken: dict[EnvironmentName, str] = {}

    def is_free(branch: str, name: EnvironmentName) -> bool:
        return taken.get(name, branch) == branch

    for branch in found:
        if branch.strip():
            name = environment_for_branch(branch, partial(is_free, branch))
            assert taken.setdefault(name, branch) == branch


def test_a_name_that_is_not_free_ends_in_a_hash():
    name = environment_for_branch("feature", lambda n: n != "feature")
    assert name == f"feature_{digest(b'feature')[:HASH_LENGTH]}"


@pytest.mark.parametrize("text", ["a", "feature_new_price", "a1_b2", "x" * ENVIRONMENT_LENGTH])
def test_environment_names(text: str):
    assert environment_name(text) == text


@pytest.mark.parametrize(
    "text", ["", "A", "1a", "a__b", "_a", "a_", "a-b", "a b", "a\n", "é", "x" * (ENVIRONMENT_LENGTH + 1), "x" * 500]
)
def test_what_is_no_environment_name(text: str):
    with pytest.raises(InvalidName) as caught:
        environment_name(text)
    assert caught.value.hint
    assert len(caught.value.message) < 150


# -- assets ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("sales.orders", "sales.orders"),
        ("Sales.ORDERS", "sales.orders"),
        ("lake:raw.flights", "lake:raw.flights"),
        ("pg:app", "pg:app"),
        ("fn:Ingest", "fn:ingest"),
        ("db.sales._1", "db.sales._1"),
        ("x.anabranch", "x.anabranch"),
        ("anabranchs.x", "anabranchs.x"),
        ("a." + "x" * PART_LENGTH, "a." + "x" * PART_LENGTH),
    ],
)
def test_asset_names(text: str, name: str):
    assert asset_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "a.", ".a", "a..b", "a.b.c.d", "a b", "1a", "a.1", "a-b", "a.b;", "é.b", "a.b\n", ":a", "a:b:c"),
        *("A:b", "1:b", "a.'b'", 'a."b"', "anabranch.x", "anabranch__sales.x", "c.ANABRANCH.x", "a." + "x" * 64),
    ],
)
def test_what_is_no_asset_name(text: str):
    with pytest.raises(InvalidName) as caught:
        asset_name(text)
    assert caught.value.hint


@given(st.text(max_size=40))
def test_a_name_is_its_own_name(text: str):
    try:
        name = asset_name(text)
    except InvalidName:
        return
    assert asset_name(name) == name
    assert name.isascii()
    assert name == name.lower()


def test_the_nearest_name():
    assert nearest("fature", ["feature", "prod"]) == "feature"
    assert nearest("xyz", ["feature", "prod"]) is None
    assert nearest("x", []) is None


# -- places ------------------------------------------------------------------------------------------------------------

parts = st.from_regex(r"[a-z_][a-z0-9_]{0,62}", fullmatch=True)
asset_names = st.lists(parts, min_size=2, max_size=3).map(".".join).map(AssetName)
environments = st.from_regex(r"[a-z][a-z0-9]{0,9}(_[a-z0-9]{1,9}){0,2}", fullmatch=True).map(EnvironmentName)
fingerprints = st.integers(0, 5).map(lambda n: Fingerprint(digest(b"%d" % n)))


def sizes(location: str) -> list[int]:
    return [len(part) for part in location.split(".")]


@given(asset_names, asset_names, fingerprints, fingerprints)
def test_physical_places_fit_and_are_distinct(one, other, first, second):
    here, there = physical_location(one, first), physical_location(other, second)
    assert max(sizes(here)) <= PART_LENGTH
    assert (here == there) == (one == other and first == second)
    assert is_physical_schema(here.split(".")[-2])
    assert here.split(".")[:-2] == one.split(".")[:-2], "it stays in its catalog"


@given(asset_names, asset_names, environments, environments, st.sampled_from(Suffix))
def test_shown_places_fit_and_are_distinct(one, other, first, second, suffix):
    here, there = shown_location(one, first, suffix), shown_location(other, second, suffix)
    assert max(sizes(here)) <= PART_LENGTH
    assert (here == there) == ((one, first) == (other, second))
    assert shown_location(one, None, suffix) == one


def test_places_by_example():
    asset, fingerprint = AssetName("sales.orders"), Fingerprint("0123456789abcdef")
    assert physical_location(asset, fingerprint) == "anabranch__sales.orders__0123456789ab"
    assert shown_location(asset, None) == "sales.orders"
    assert shown_location(asset, EnvironmentName("feature")) == "sales__feature.orders"
    assert shown_location(asset, EnvironmentName("feature"), Suffix.TABLE) == "sales.orders__feature"


@given(st.text(alphabet="ab_", max_size=90), st.text(alphabet="ab_", max_size=90), st.integers(20, 63))
def test_shortening_keeps_texts_apart(one: str, other: str, limit: int):
    short_one, short_other = shorten(one, limit), shorten(other, limit)
    assert len(short_one) <= limit
    assert (short_one == one) == (len(one) <= limit)
    assert (short_one == short_other) == (one == other)


def test_ids():
    assert short(digest(b"")) == digest(b"")[:7]
    assert len(digest(b"")) == 40
    assert canonical({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'.encode()
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})
