"""How rows are compared, and how values are written and read."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from anabranch.domain.cells import Form, plain
from anabranch.domain.matching import Mismatch, Pair, Rows, alike, match
from anabranch.domain.spelling import spell, spell_rows

NAN = float("nan")


def rows(columns: str, *found: tuple) -> Rows:
    return Rows(tuple(columns.split()), found)


def test_order_does_not_matter_and_duplicates_do():
    assert not match(rows("a", (1,), (2,), (2,)), rows("a", (2,), (1,), (2,)))
    assert match(rows("a", (1,), (2,), (2,)), rows("a", (2,), (1,), (1,))).pairs == (Pair((2,), (1,), (0,)),)
    assert match(rows("a b", (1, 1), (1, 1)), rows("a b", (1, 1))).count() == (0, 1, 0)
    assert match(rows("a b", (1, 1)), rows("a b", (1, 1), (1, 1))).count() == (0, 0, 1)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (None, None, True),
        (None, 0, False),
        (None, "", False),
        (1, Decimal("1.00"), True),
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (True, True, True),
        (0.1 + 0.2, Decimal("0.3"), True),
        (1 / 3, Decimal("0.333333"), True),
        (1.0, 1.001, False),
        (Decimal("0.30"), Decimal("0.3"), True),
        (Decimal("0.300000001"), Decimal("0.3"), False),
        (2**63, Decimal(2**63 + 1), False),
        (NAN, NAN, True),
        (NAN, 1.0, False),
        (math.inf, math.inf, True),
        (math.inf, -math.inf, False),
        ("1", 1, False),
        ("a", "A", False),
        (date(2022, 1, 1), datetime(2022, 1, 1), True),  # noqa: DTZ001  # a TIMESTAMP has no zone
        (date(2022, 1, 1), datetime(2022, 1, 1, 1), False),  # noqa: DTZ001  # a TIMESTAMP has no zone
        (datetime(2022, 1, 1, tzinfo=UTC), datetime(2022, 1, 1), True),  # noqa: DTZ001  # a TIMESTAMP has no zone
        (date(2022, 1, 1), "2022-01-01", False),
        ([1, 2.0], [Decimal(1), 2], True),
        ([1, 2], [2, 1], False),
        ({"a": 0.3}, {"a": 0.1 + 0.2}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
    ],
)  # fmt: skip
def test_values(one, other, same):
    assert alike(one, other) is same
    assert alike(other, one) is same
    assert bool(match(rows("a", (one,)), rows("a", (other,)))) is not same


def test_columns_by_name_without_regard_to_case_and_order():
    assert not match(rows("A b", (1, 2)), rows("B a", (2, 1)))


def test_a_column_that_is_not_there():
    assert match(rows("a c", (1, 2)), rows("a b", (1, 2))) == Mismatch(("a", "b"), lacking=("c",))


def test_a_column_that_nobody_expects_is_expected_to_be_null():
    expected = rows("a", (1,))
    assert not match(expected, rows("a b", (1, None)))
    found = match(expected, rows("a b", (1, 2)))
    assert found.pairs == (Pair((1, None), (1, 2), (1,)),)
    assert found.unnamed == ("b",)
    assert not match(expected, rows("a b", (1, 2)), partial=True)
    assert match(rows("a", (1,)), rows("a b", (3, 2)), partial=True).columns == ("a",)


def test_rows_are_paired_by_key_or_likeness():
    expected = rows("id name n", (1, "x", 1), (2, "y", 2), (4, "q", 9))
    got = rows("id name n", (2, "x", 1), (1, "z", 7), (3, "w", 5))
    by_key = match(expected, got, keys=["ID"])
    assert by_key.pairs == (
        Pair((1, "x", 1), (1, "z", 7), (1, 2)),
        Pair((2, "y", 2), (2, "x", 1), (1, 2)),
        Pair((4, "q", 9), None),
        Pair(None, (3, "w", 5)),
    )
    assert by_key.count() == (2, 1, 1)
    assert match(expected, got).pairs[0] == Pair((1, "x", 1), (2, "x", 1), (0,))


def test_no_rows():
    assert not match(rows(""), rows("a"))
    assert match(rows(""), rows("a", (1,))).pairs == (Pair(None, (1,)),)
    assert match(rows(""), rows("a", (1,))).unnamed == ()


VALUES = st.one_of(st.none(), st.integers(0, 3), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from(["a", "b"]))


@given(st.lists(st.tuples(VALUES, VALUES), max_size=8), st.randoms(use_true_random=False), st.data())
def test_matching_is_equality_of_multisets(given_rows, random, data):
    shuffled = list(given_rows)
    random.shuffle(shuffled)
    assert not match(rows("a b", *given_rows), rows("a b", *shuffled))
    if shuffled:
        del shuffled[data.draw(st.integers(0, len(shuffled) - 1))]
        found = match(rows("a b", *given_rows), rows("a b", *shuffled))
        assert found.count() == (0, 1, 0)
        assert match(rows("a b", *shuffled), rows("a b", *given_rows)).count() == (0, 0, 1)


# --- what is written


@pytest.mark.parametrize(
    ("text", "form", "told"),
    [
        ("", Form.NULL, ""),
        ("~", Form.NULL, ""),
        ("null", Form.NULL, ""),
        ("true", Form.BOOL, "true"),
        ("False", Form.BOOL, "false"),
        ("no", Form.TEXT, "no"),
        ("on", Form.TEXT, "on"),
        ("010", Form.INTEGER, "10"),
        ("-7", Form.INTEGER, "-7"),
        ("0x1F", Form.INTEGER, "31"),
        ("0o17", Form.INTEGER, "15"),
        ("1_000", Form.TEXT, "1_000"),
        ("2.50", Form.NUMBER, "2.50"),
        ("1e3", Form.NUMBER, "1e3"),
        ("1.", Form.NUMBER, "1."),
        (".5", Form.NUMBER, ".5"),
        ("-.inf", Form.NUMBER, "-inf"),
        (".nan", Form.NUMBER, "nan"),
        (".", Form.TEXT, "."),
        ("12:30", Form.TEXT, "12:30"),
        ("1.2.3", Form.TEXT, "1.2.3"),
        ("2022-01-31", Form.DATE, "2022-01-31"),
        ("2022-02-31", Form.TEXT, "2022-02-31"),
        ("2022-01-01 12:00:00", Form.MOMENT, "2022-01-01 12:00:00"),
        ("2022-01-01T12:00:00.5Z", Form.MOMENT, "2022-01-01 12:00:00.5+00:00"),
        ("2022-01-01 12:00:00+02", Form.MOMENT, "2022-01-01 12:00:00+02"),
        ("9" * 2000, Form.TEXT, "9" * 2000),
    ],
)  # fmt: skip
def test_plain_words(text, form, told):
    assert plain(text) == (form, told)


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.text(),
    st.sampled_from(["1", "1.5", "no", "null", "2022-01-01", "a: b", "# x", "{", "- a", "'", '"', "\\", "\x85", "é"]),
    st.dates(),
    st.datetimes(),
)
NESTED = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


@given(NESTED)
def test_what_is_spelled_reads_back(value):
    from anabranch.loaders.yaml_nodes import Node

    text = "\n".join(spell_rows(["a b"], [[value]], 0))
    node = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    assert node is not None
    read = Node(node, Path("spelled.yaml")).cell().value()
    assert isinstance(read, dict)
    (row,) = read["rows"]
    assert _same(row["a b"], value), text


def _same(found: object, value: object) -> bool:
    """As :func:`alike` has it, and of the same form."""
    if isinstance(value, float) and math.isfinite(value):
        return isinstance(found, Decimal) and float(found) == value
    if isinstance(value, Decimal):
        return found == value
    if isinstance(value, list):
        return isinstance(found, list) and len(found) == len(value) and all(map(_same, found, value))
    if isinstance(value, dict):
        return (
            isinstance(found, dict)
            and found.keys() == value.keys()
            and all(_same(found[k], v) for k, v in value.items())
        )
    return type(found) is type(value) and (found == value or (found != found and value != value))  # noqa: PLR0124  # as NaN does


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Germany", "Germany"),
        ("New York", "New York"),
        ("no", '"no"'),
        ("12", '"12"'),
        ("", '""'),
        (" x", '" x"'),
        ("a\nb", '"a\\nb"'),
        (Decimal("2.50"), "2.50"),
        (Decimal("1E+3"), "1000"),
        (b"\x00a", '"\\\\x00\\\\x61"'),
        (datetime(2022, 1, 1, 12), "2022-01-01 12:00:00"),  # noqa: DTZ001  # a TIMESTAMP has no zone
        ({"a": [1, None]}, "{a: [1, null]}"),
    ],
)
def test_spelling(value, text):
    assert spell(value) == text
