"""Unit tests from ``tests/**/test*.yaml``, in the format that SQLMesh uses. Each key of a file is a test."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from anabranch.domain.cells import Cell, as_moment, plain
from anabranch.domain.names import AssetName, asset_name
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.domain.unit_test import Fixture, UnitTest
from anabranch.errors import InvalidName, UnitTestError, Where
from anabranch.loaders.files import scan, unreadable
from anabranch.loaders.problems import Problems
from anabranch.loaders.yaml_nodes import Node, read

TESTS = "tests"
_SUFFIXES = (".yaml", ".yml")
KEYS = frozenset({"model", "description", "inputs", "outputs", "vars", "schema", "gateway"})
"""``schema`` and ``gateway`` say nothing here: a test always runs in memory."""
_INPUT = frozenset({"rows", "columns", "query", "format", "path"})
OUTPUT = _INPUT | {"partial"}
_PRESENT = "execution_time"
_NO_MODEL = frozenset({Kind.SEED, Kind.EXTERNAL})


def find_test_files(root: Path) -> list[str]:
    """The files of tests under ``root``, by relative path. Raises ``ModelError`` where a folder can't be listed."""
    found = [path for suffix in _SUFFIXES for path in scan(root, TESTS, suffix)]
    return sorted(p for p in found if p.rpartition("/")[2].lower().startswith("test"))


def load_tests(
    root: Path, files: Collection[str], assets: Mapping[AssetName, Snapshot], default_schema: str
) -> list[UnitTest]:
    """The tests in ``files`` (paths relative to ``root``), in the order in which they stand there.

    Raises:
        UnitTestError: with file, line and what to do; the message tells of further mistakes.
        ModelError: a file can't be read.
    """
    problems = Problems(root)
    found: list[UnitTest] = []
    for path in files:
        try:
            text = _text(root, path)
            found += parse_tests(root, path, text, assets, default_schema, problems)
        except UnitTestError as error:
            problems.add(error)
    problems.stop()
    return found


def parse_tests(
    root: Path,
    path: str,
    text: str,
    assets: Mapping[AssetName, Snapshot],
    default_schema: str,
    problems: Problems,
) -> list[UnitTest]:
    """The tests of one file's ``text``; what is wrong with one is added to ``problems``.

    Raises:
        UnitTestError: it isn't YAML, or no mapping.
    """
    top = read(root / path, text, path)
    if top is None:
        return []
    reader = _Reader(root, path, assets, default_schema)
    found: list[UnitTest] = []
    for name, key, value in top.items():
        try:
            found.append(reader.test(name, key, value))
        except UnitTestError as error:
            problems.add(error)
    return found


def _text(root: Path, path: str) -> str:
    try:
        return (root / path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise unreadable(root, path, error) from error
    except UnicodeDecodeError as error:
        raise UnitTestError(f"{path} isn't UTF-8", where=Where(root / path), hint="save it as UTF-8") from error


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the tests of one file."""

    root: Path
    path: str
    assets: Mapping[AssetName, Snapshot]
    default_schema: str

    def test(self, name: str, key: Node, value: Node) -> UnitTest:
        if not value.is_mapping:
            key.fail(f"{name} says nothing", "say: model, inputs, outputs")
        said = value.section(KEYS)
        if "model" not in said:
            key.fail(f"{name} doesn't say which model it is of", "add: model: schema.name")
        model = self._asset(said["model"], said["model"].text(), "tests")
        if self.assets[model].kind in _NO_MODEL:
            said["model"].fail(f"{model} is no model but a {_what(self.assets[model])}", "a test is of a model")
        given = {} if "inputs" not in said else self._inputs(said["inputs"])
        if "outputs" not in said or said["outputs"].is_null:
            key.fail(f"{name} doesn't say what it expects", "add: outputs: {query: {rows: […]}}")
        query, ctes = self._outputs(said["outputs"])
        variables, moment = self._variables(said["vars"]) if "vars" in said else ({}, None)
        told = said["description"].text() if "description" in said else ""
        return UnitTest(name, self.path, key.where, model, given, query, ctes, moment, variables, told.strip())

    def _asset(self, node: Node, text: str, verb: str) -> AssetName:
        plain_text = text.replace('"', "").replace("`", "").strip()
        try:
            name = asset_name(plain_text if "." in plain_text else f"{self.default_schema}.{plain_text}")
        except InvalidName as error:
            node.fail(error.message, error.hint)
        if name not in self.assets:
            node.unknown(name, self.assets.keys(), f"it {verb} {name}, which doesn't exist")
        return name

    def _inputs(self, node: Node) -> dict[AssetName, Fixture]:
        found: dict[AssetName, Fixture] = {}
        for name, key, value in node.items():
            asset = self._asset(key, name, "gives rows for")
            if asset in found:
                key.fail(f"{asset} is given twice", "keep one of them")
            found[asset] = self._fixture(value, _INPUT)
        return found

    def _outputs(self, node: Node) -> tuple[Fixture | None, dict[str, Fixture]]:
        said = node.section({"query", "ctes", "partial"})
        partial = "partial" in said and said["partial"].truth()
        query = self._fixture(said["query"], OUTPUT, partial=partial) if "query" in said else None
        ctes: dict[str, Fixture] = {}
        for name, _, value in said["ctes"].items() if "ctes" in said else ():
            ctes[name] = self._fixture(value, OUTPUT, partial=partial)
        if query is None and not ctes:
            node.fail("outputs expects nothing", "add: query: {rows: […]}, or ctes")
        return query, ctes

    def _fixture(self, node: Node, known: Collection[str], *, partial: bool = False) -> Fixture:
        if not node.is_mapping:
            return Fixture(node.where, self._rows(node), partial=partial)
        said = node.section(known)
        kinds = [said[k] for k in ("rows", "query", "path") if k in said]
        if len(kinds) > 1:
            kinds[1].fail(f"{node.path} says its rows in two ways", "keep one of rows, query and path")
        if "format" in said and not kinds:
            said["format"].fail(f"{node.path} has a format, but no rows", "add: rows, or path")
        columns = {n: v.text() for n, _, v in said["columns"].items()} if "columns" in said else {}
        partial = said["partial"].truth() if "partial" in said else partial
        if "query" in said:
            return Fixture(said["query"].where, (), said["query"].text(), columns, partial)
        rows: tuple[Mapping[str, Cell], ...] = ()
        form = self._format(said)
        if "path" in said:
            rows = self._file(said["path"], form)
        elif "rows" in said:
            rows = self._rows(said["rows"]) if form == "yaml" else self._csv(said["rows"], said["rows"].text(), None)
        return Fixture(node.where, rows, None, columns, partial)

    @staticmethod
    def _format(said: Mapping[str, Node]) -> str:
        if "format" in said:
            form = said["format"].text().lower()
            if form not in ("csv", "yaml"):
                said["format"].unknown(form, ("csv", "yaml"), f"there is no format {form}")
            return form
        return "csv" if "path" in said and said["path"].text().lower().endswith(".csv") else "yaml"

    def _rows(self, node: Node) -> tuple[Mapping[str, Cell], ...]:
        found: list[Mapping[str, Cell]] = []
        for each in node.elements():
            if not each.is_mapping:
                each.fail(f"{each.path} must be a row: a mapping of columns to values", "write it as {id: 1, …}")
            row: dict[str, Cell] = {}
            for name, key, value in each.items():
                if any(name.lower() == other.lower() for other in row):
                    key.fail(f"{value.path} is there twice, for case doesn't matter", "keep one of them")
                row[name] = value.cell()
            found.append(row)
        return tuple(found)

    def _csv(self, node: Node, text: str, file: Path | None) -> tuple[Mapping[str, Cell], ...]:
        """Cells are read as words in YAML are; an empty one is NULL. ``file``: where the text stands, if not here."""
        reader = csv.reader(io.StringIO(text), strict=True, skipinitialspace=True)
        first = node.where.line or 1
        found: list[Mapping[str, Cell]] = []
        try:
            header = next(reader, [])
            if not header or not all(h.strip() for h in header):
                node.fail(
                    f"{node.path} doesn't begin with a line of column names", "name the columns in its first line"
                )
            for row in reader:
                if not row:
                    continue
                line = reader.line_num if file else first + reader.line_num
                if len(row) != len(header):
                    where = Where(file or node.file, line)
                    said = f"this line has {len(row)} values, and the header {len(header)}"
                    raise UnitTestError(said, where=where, hint="correct the line")
                cells = (Cell(*plain(text.strip()), line=line) for text in row)
                found.append({h.strip(): cell for h, cell in zip(header, cells, strict=True)})
        except csv.Error as error:
            where = Where(file, reader.line_num) if file else node.where
            raise UnitTestError(f"{node.path} can't be read as CSV: {error}", where=where) from error
        return tuple(found)

    def _file(self, node: Node, form: str) -> tuple[Mapping[str, Cell], ...]:
        said = node.text()
        beside = (self.root / self.path).parent
        file = next((f for f in (beside / said, self.root / said) if f.is_file()), None)
        if file is None:
            node.fail(f"there is no file {said}", "its path is relative to the test's file, or to the project's folder")
        if not file.resolve().is_relative_to(self.root.resolve()):
            node.fail(f"{said} lies outside the project", "move it into the project, beside the test")
        text = _text(self.root, file.resolve().relative_to(self.root.resolve()).as_posix())
        if form == "csv":
            return self._csv(node, text, file)
        top = read(file, text, said)
        return self._rows(Node(top.node, file, said)) if top is not None else ()

    @staticmethod
    def _variables(node: Node) -> tuple[dict[str, object], datetime | None]:
        found: dict[str, object] = {}
        moment = None
        for name, _, value in node.items():
            cell = value.cell()
            found[name] = cell.value()
            if name == _PRESENT:
                moment = as_moment(cell.text)
                if moment is None:
                    value.fail(f"{value.path} is no moment", "write it as 2022-01-01 12:00:00")
        return found, moment


def _what(snapshot: Snapshot) -> str:
    return "seed" if snapshot.kind is Kind.SEED else "source"
