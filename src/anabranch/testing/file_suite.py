"""What loading a file obeys on every Engine: a part of :mod:`anabranch.testing.engine_suite`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from anabranch.ports.engine import Session
from anabranch.testing.engine_helpers import SCHEMA, EnginePart, OpenEngine, at, begun, failure, rows, text


class FileSuite(EnginePart):
    def load(
        self, session: Session, folder: Path, content: str | bytes, columns: Mapping[str, str] | None = None
    ) -> int:
        """``content`` as the table ``seed``."""
        path = folder / "seed.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        session.create_schemas([SCHEMA])
        session.drop([at("seed")])
        return session.load_csv(at("seed"), path, columns or {})

    def test_a_file_is_loaded(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            assert self.load(session, tmp_path, "id,name\n1,one\n2,two\n") == 2
            assert rows(session, at("seed")) == [(1, "one"), (2, "two")]
        engine.close()

    def test_a_file_that_ends_without_a_line_feed(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            assert self.load(session, tmp_path, b"\xef\xbb\xbfid,name\r\n1,one\r\n2,two") == 2
            assert rows(session, at("seed")) == [(1, "one"), (2, "two")]
            found = session.describe(at("seed"))
            assert found is not None
            assert [n for n, _ in found.columns] == ["id", "name"], "a byte order mark is no part of a name"
        engine.close()

    def test_quotes_and_empty_values(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        said = 'id,text\n1,"a ""quoted"" word, a comma;\tand\na line"\n2,\n3,\' # \\ | NULL\n4, kept as it is \n'
        with engine.session() as session:
            assert self.load(session, tmp_path, said) == 4
            assert rows(session, at("seed")) == [
                (1, 'a "quoted" word, a comma;\tand\na line'),
                (2, None),
                (3, "' # \\ | NULL"),
                (4, " kept as it is "),
            ]
        engine.close()

    def test_a_hash_does_not_make_a_comment(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            assert self.load(session, tmp_path, "code,name\n#1,a\n#2,b\n3,#c\n") == 3
            assert rows(session, at("seed")) == [("#1", "a"), ("#2", "b"), ("3", "#c")]
        engine.close()

    def test_the_separator_is_a_comma(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            assert self.load(session, tmp_path, "name\na b\nc;d\ne|f\n") == 3
            assert rows(session, at("seed")) == [("a b",), ("c;d",), ("e|f",)]
        engine.close()

    def test_declared_types(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            self.load(
                session,
                tmp_path,
                "id,code,other\n1,007,1\n2,008,2\n",
                {"code": session.grammar.text, "id": session.grammar.integer},
            )
            assert rows(session, at("seed")) == [(1, "007", 1), (2, "008", 2)]
            for wrong in ({"nothing": "BIGINT"}, {"id": "no such type"}, {"code": "DATE"}):
                failure(partial(self.load, session, tmp_path, "id,code\n1,a\n2,b\n", wrong))
                assert session.describe(at("seed")) is None
        engine.close()

    def test_a_value_late_in_the_file_decides_the_type_too(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            assert self.load(session, tmp_path, "code\n" + "1\n" * 150_000 + "A\n") == 150_001
            assert session.query(f"SELECT max(code) FROM {text(session, at('seed'))}").rows[0][0] == "A"
        engine.close()

    def test_odd_column_names(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            names = ["select", "it's", self.odd_column, "ünï"]
            header = ",".join('"' + n.replace('"', '""') + '"' for n in names)
            types = dict.fromkeys(names[:3], session.grammar.text)
            self.load(session, tmp_path, f"{header}\n1,2,3,4\n", types)
            found = session.describe(at("seed"))
            assert found is not None
            assert [n for n, _ in found.columns] == names
            assert rows(session, at("seed")) == [("1", "2", "3", 4)]
        engine.close()

    def test_a_file_without_rows(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            assert self.load(session, tmp_path, "id,name\n", {"id": session.grammar.integer}) == 0
            found = session.describe(at("seed"))
            assert found is not None
            assert [n for n, _ in found.columns] == ["id", "name"]
            assert session.count(at("seed")) == 0
        engine.close()

    def test_an_empty_file_is_refused(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            for nothing in (b"", b"\n\n", b"\xef\xbb\xbf", b"  \r\n"):
                failure(partial(self.load, session, tmp_path, nothing))
                assert session.describe(at("seed")) is None
        engine.close()

    def test_rows_of_another_length_are_refused(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            for wrong in ("id,name\n1,a\n2\n", "id,name\n1,a\n2\n3,b,c\n", "id,name\n1,a\n2,b,c\n", "name\na\nb,c\n"):
                error = failure(partial(self.load, session, tmp_path, wrong))
                assert "line 3" in error.message.lower()
                assert session.describe(at("seed")) is None
        engine.close()

    def test_a_quote_that_is_not_closed_is_refused(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        with engine.session() as session:
            failure(lambda: self.load(session, tmp_path, 'id,name\n1,"a\n2,b\n3,c\n'))
            assert session.describe(at("seed")) is None
        engine.close()

    def test_odd_file_names(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        with begun(open_engine) as (_, session):
            for number, name in enumerate(
                ("a*.csv", "a[1].csv", "a?.csv", "it's.csv", "a b.csv", "ünï.csv", "{a,b}.csv")
            ):
                (tmp_path / name).write_text(f"id\n{number}\n")
                (tmp_path / "a1.csv").write_text("id\n-1\n")
                (tmp_path / "a.csv").write_text("id\n-1\n")
                assert session.load_csv(at(f"t{number}"), tmp_path / name, {}) == 1
                assert rows(session, at(f"t{number}")) == [(number,)]
            failure(lambda: session.load_csv(at("nothing"), tmp_path / "nothing.csv", {}))
            failure(lambda: session.load_csv(at("t0"), tmp_path / "a.csv", {}))
            assert rows(session, at("t0")) == [(0,)]
