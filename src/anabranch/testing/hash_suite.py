"""What the hash of a relation's content obeys on every Engine: a part of :mod:`anabranch.testing.engine_suite`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from anabranch.ports.capabilities import Capability
from anabranch.ports.engine import Session
from anabranch.testing.engine_helpers import SCHEMA, SMALL, EnginePart, OpenEngine, at, begun, failure


class HashSuite(EnginePart):
    same_values: ClassVar[tuple[tuple[str, str], ...]] = (("1 + 1", "2"), ("CAST(1.50 AS DECIMAL(9, 2))",) * 2)
    """Pairs of expressions with one value of one type."""
    different_values: ClassVar[tuple[tuple[str, str], ...]] = (
        ("1", "2"),
        ("CAST(1 AS INTEGER)", "CAST(1 AS BIGINT)"),
        ("CAST(0 AS INTEGER)", "CAST(NULL AS INTEGER)"),
        ("false", "CAST(NULL AS BOOLEAN)"),
        ("''", "CAST(NULL AS VARCHAR)"),
        ("''", "' '"),
        ("'1'", "1"),
        ("'a'", "'A'"),
        ("'a'", "'a '"),
        ("CAST(0.0 AS DOUBLE PRECISION)", "-CAST(0.0 AS DOUBLE PRECISION)"),
        ("CAST(0.0 AS DOUBLE PRECISION)", "CAST(NULL AS DOUBLE PRECISION)"),
        ("CAST('NaN' AS DOUBLE PRECISION)", "CAST(NULL AS DOUBLE PRECISION)"),
        ("CAST(0.1 AS DOUBLE PRECISION) + 0.2e0", "CAST(0.3 AS DOUBLE PRECISION)"),
        ("CAST('2020-01-01' AS DATE)", "CAST('2020-01-01' AS TIMESTAMP)"),
        ("CAST('2020-01-01' AS TIMESTAMP)", "CAST('2020-01-01' AS TIMESTAMP WITH TIME ZONE)"),
        ("INTERVAL '1' MONTH", "INTERVAL '30' DAY"),
    )
    """Pairs that a query can tell apart, by value or by type. An adapter adds what its engine has more."""

    def numbered(self, numbers: Sequence[str]) -> str:
        """A query of these rows in this order: ``x``, the number, and ``y``, a text."""
        values = ", ".join(f"({n}, 'n{n}')" for n in numbers)
        return f"SELECT * FROM (VALUES {values}) AS t(x, y)"

    def content(self, session: Session, query: str, columns: tuple[str, ...] = ("x",)) -> str:
        """The hash of what ``query`` returns."""
        session.drop([at("hashed")])
        session.create_table(at("hashed"), query)
        return session.content_hash(at("hashed"), columns)

    def test_equal_content_has_equal_hashes(self, open_engine: OpenEngine) -> None:
        self.look(Capability.EXACT_HASH)
        with begun(open_engine) as (_, session):
            for one, other in self.same_values:
                hashes = {self.content(session, f"SELECT {value} AS x") for value in (one, other)}
                assert len(hashes) == 1, (one, other)
                assert re.fullmatch("[0-9a-f]{64}", hashes.pop())

    def test_different_content_has_different_hashes(self, open_engine: OpenEngine) -> None:
        self.look(Capability.EXACT_HASH)
        with begun(open_engine) as (_, session):
            values = dict.fromkeys(value for pair in self.different_values for value in pair)
            hashes = {value: self.content(session, f"SELECT {value} AS x") for value in values}
            for one, other in self.different_values:
                assert hashes[one] != hashes[other], (one, other)

    def test_a_hash_counts_rows_and_not_their_order(self, open_engine: OpenEngine) -> None:
        self.look(Capability.EXACT_HASH)
        with begun(open_engine) as (_, session):
            numbers = [str(n * 7919 % 5000) for n in range(5000)]
            orders = (numbers, sorted(numbers), sorted(numbers, key=int, reverse=True))
            shuffled = [self.content(session, self.numbered(order), ("x", "y")) for order in orders]
            assert len(set(shuffled)) == 1
            nothing = "SELECT x FROM (SELECT 0 AS x) AS s WHERE x > 0"
            queries = [nothing, *(" UNION ALL ".join(["SELECT 0 AS x"] * n) for n in (1, 2, 3))]
            queries += ["SELECT 1 AS x UNION ALL SELECT 1", "SELECT 2 AS x UNION ALL SELECT 2"]
            assert len({self.content(session, query) for query in queries}) == len(queries), (
                "two equal rows don't cancel"
            )

    def test_a_hash_is_of_the_columns_asked_for(self, open_engine: OpenEngine) -> None:
        self.look(Capability.EXACT_HASH)
        with begun(open_engine) as (_, session):
            query = f"SELECT 1 AS x, 2 AS y, 'a' AS {session.grammar.identifier(self.odd_column)}"
            asked = [("x",), ("y",), ("x", "y"), ("y", "x"), (), ("x", self.odd_column)]
            hashes = [self.content(session, query, columns) for columns in asked]
            assert len(set(hashes)) == len(asked)
            other = self.content(session, "SELECT 1 AS x, 3 AS y")
            assert other == hashes[0], "other columns don't count"
            renamed = self.content(session, "SELECT 1 AS v", ("v",))
            assert renamed != hashes[0], "names do"
            moved = self.content(session, "SELECT 1 AS x, 2 AS y UNION ALL SELECT 3, 4", ("x", "y"))
            swapped = self.content(session, "SELECT 1 AS x, 4 AS y UNION ALL SELECT 3, 2", ("x", "y"))
            assert moved != swapped, "what stands in one row belongs together"
            failure(lambda: session.content_hash(at("hashed"), ["nothing"]))
            failure(lambda: session.content_hash(at("nothing"), ["x"]))

    def test_a_hash_of_a_view_is_that_of_its_rows(self, open_engine: OpenEngine) -> None:
        self.look(Capability.EXACT_HASH)
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("small"), SMALL)
            session.point({at("v"): at("small")})
            found = {session.content_hash(at(name), ["id", "name"]) for name in ("small", "v")}
        engine.close()
        other = open_engine()
        with other.session(read_only=True) as session:
            found.add(session.content_hash(at("v"), ["id", "name"]))
        other.close()
        assert len(found) == 1
