"""Which names every Engine takes, and how it refuses others: a part of :mod:`anabranch.testing.engine_suite`."""

from __future__ import annotations

import re
from functools import partial
from typing import ClassVar

from anabranch.errors import StatementFailed
from anabranch.ports.capabilities import Case
from anabranch.ports.engine import Relation, Session
from anabranch.testing.engine_helpers import SCHEMA, SMALL, EnginePart, OpenEngine, at, begun, failure, rows, text

LENGTHS = (63, 128, 255)
RESERVED = ("select", "from", "order", "group", "table", "user", "all", "case", "null", "default", "end", "index")
"""Words that at least one engine keeps for itself."""
_SAYS_WHY = re.compile(r"long|length|exceed|characters|bytes|limit", re.IGNORECASE)


class NameSuite(EnginePart):
    longest_column: ClassVar[int | None] = None
    """The most characters of a column's name, where there is such a limit."""
    keeps_case: ClassVar[bool] = True
    """Tables stay named in the case that they were made in."""
    tells_case: ClassVar[bool] = True
    """False where an emulator takes names for one that the engine tells apart by their case, or tells them in small
    letters."""

    def test_a_name_of_any_length_is_taken_whole_or_refused(self, open_engine: OpenEngine) -> None:
        """Never cut, so that two of them are one."""
        with begun(open_engine) as (engine, session):
            for length in LENGTHS:
                one, other, third = ("n" * (length - 1) + end for end in "xyz")
                is_taken = engine.identifiers.takes(one) or self._is_taken(session, one)
                if is_taken:
                    session.create_table(at(one), "SELECT 1 AS id")
                    session.create_table(at(other), "SELECT 2 AS id")
                    session.point({at(third): at(other)})
                    assert {f.relation for f in session.find([SCHEMA])} == {at(one), at(other), at(third)}
                    assert session.targets([SCHEMA]) == {at(third): at(other)}
                    assert [rows(session, at(n)) for n in (one, other, third)] == [[(1,)], [(2,)], [(2,)]]
                    session.drop([at(third)])
                    session.drop([at(one), at(other)])
                    continue
                cut = one[: engine.identifiers.longest]
                session.create_table(at(cut), SMALL)
                session.create_view(at("view"), SMALL)
                for call in (
                    partial(session.create_table, at(one), "SELECT 3 AS id"),
                    partial(session.create_view, at(one), "SELECT 3 AS id"),
                    partial(session.point, {at(one): at(cut)}),
                    partial(session.rename, at(cut), one),
                ):
                    assert _SAYS_WHY.search(failure(call).message), "it says what is wrong with the name"
                assert {f.relation for f in session.find([SCHEMA])} == {at(cut), at("view")}
                assert session.describe(at(one)) is None, "what begins alike isn't taken for it"
                assert session.count(at(cut)) == 2
                session.drop([at(cut), at("view")])

    def _is_taken(self, session: Session, name: str) -> bool:
        """Whether the engine takes a name that nobody should count on."""
        try:
            session.create_table(at(name), SMALL)
        except StatementFailed:
            return False
        session.drop([at(name)])
        return True

    def test_a_columns_name_of_any_length_is_taken_whole_or_refused(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        told = engine.grammar.identifier
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            for length in LENGTHS:
                one, other = ("c" * (length - 1) + end for end in "xy")
                make = partial(session.create_table, at(f"t{length}"), f"SELECT 1 AS {told(one)}, 2 AS {told(other)}")
                if self.longest_column is None or length <= self.longest_column:
                    make()
                    assert [n for n, _ in session.columns(at(f"t{length}")) or ()] == [one, other]
                    found = session.query(f"SELECT {told(other)} FROM {text(session, at(f't{length}'))}")
                    assert (found.columns, [tuple(r) for r in found.rows]) == ((other,), [(2,)])
                else:
                    assert _SAYS_WHY.search(failure(make).message), "it says what is wrong with the name"
                    assert session.describe(at(f"t{length}")) is None
        engine.close()

    def test_reserved_words_name_tables_and_columns(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        told = engine.grammar.identifier
        with engine.session() as session:
            session.create_schemas([SCHEMA, "data"])
            selected = ", ".join(f"{number} AS {told(word)}" for number, word in enumerate(RESERVED))
            row = tuple(range(len(RESERVED)))
            for word in RESERVED:
                session.create_table(at(word, "data"), f"SELECT {selected}")
            session.point({at(word): at(word, "data") for word in RESERVED})
            for word in RESERVED[:3]:
                assert rows(session, at(word)) == [row]
                assert [n for n, _ in session.columns(at(word, "data")) or ()] == list(RESERVED)
                assert session.count(at(word, "data")) == 1
            by_word = engine.grammar.columns(reversed(RESERVED), "t.")
            found = session.query(f"SELECT {by_word} FROM {text(session, at('order'))} AS t")
            assert (found.columns, [tuple(r) for r in found.rows]) == (RESERVED[::-1], [row[::-1]])
            hashes = [session.content_hash(at(word, "data"), RESERVED) for word in ("select", "user")]
            assert hashes[0] == hashes[1]
            assert session.content_hash(at("table", "data"), RESERVED[1:]) != hashes[0]
            session.rename(at("null", "data"), "where")
            assert rows(session, at("where", "data")) == [row]
        engine.close()

    def test_names_in_mixed_case_stay_as_they_are(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        told = engine.grammar.identifier
        are_one = engine.identifiers.case is Case.INSENSITIVE

        def kept(name: str) -> Relation:
            return at(name if self.keeps_case else name.lower())

        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("MixedCase"), f"SELECT 1 AS {told('OrderId')}, 2 AS {told('Other')}")
            assert [f.relation for f in session.find([SCHEMA])] == [kept("MixedCase")]
            assert [n for n, _ in session.columns(at("MixedCase")) or ()] == ["OrderId", "Other"]
            found = session.query(f"SELECT {told('OrderId')} FROM {text(session, at('MixedCase'))}")
            assert (found.columns, [tuple(r) for r in found.rows]) == (("OrderId",), [(1,)])
            second = partial(session.create_table, at("mixedCase"), SMALL)
            if are_one:
                failure(second)
                assert rows(session, at("mixedCase")) == [(1, 2)], "one table, by any spelling"
            elif self.tells_case:
                second()
                assert rows(session, at("mixedCase")) == [(1, "one"), (2, "two")]
            assert rows(session, at("MixedCase")) == [(1, 2)]
            session.point({at("Pointer"): at("MixedCase")})
            if self.tells_case:
                assert session.targets([SCHEMA]) == {kept("Pointer"): at("MixedCase")}
            assert rows(session, at("Pointer")) == [(1, 2)]
        engine.close()
