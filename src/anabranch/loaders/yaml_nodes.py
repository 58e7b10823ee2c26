"""YAML with places, read as it stands: nothing is put in, and a word without quotes means what YAML 1.2 says."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from anabranch.domain.cells import Cell, Form, plain
from anabranch.domain.names import nearest
from anabranch.errors import UnitTestError, Where

if TYPE_CHECKING:
    from yaml.nodes import Node as YamlNode

_DEEPEST = 50
"""Levels of lists and mappings; an anchor that contains itself has no end."""


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a file. ``path``: the keys that lead to it, for messages."""

    node: YamlNode
    file: Path
    path: str = ""

    @property
    def where(self) -> Where:
        """Where it begins."""
        mark = self.node.start_mark
        end = self.node.end_mark
        length = end.column - mark.column if end.line == mark.line else 1
        return Where(self.file, mark.line + 1, mark.column + 1, max(1, length))

    def fail(self, message: str, hint: str | None = None) -> NoReturn:
        """Raises ``UnitTestError`` that names the place."""
        raise UnitTestError(message, where=self.where, hint=hint)

    def unknown(self, name: str, known: Collection[str], what: str) -> NoReturn:
        """Raises ``UnitTestError`` for a name that isn't one of ``known``, and guesses which was meant."""
        near = nearest(name, sorted(known))
        listed = f"known here: {', '.join(sorted(known))}" if 0 < len(known) <= 12 else None
        self.fail(what, f"did you mean {near}?" if near else listed)

    # -- what it is ------------------------------------------------------------------------------------------------
    @property
    def is_null(self) -> bool:
        """Nothing, or ``null``."""
        from yaml.nodes import ScalarNode

        return isinstance(self.node, ScalarNode) and self.cell().form is Form.NULL

    @property
    def is_mapping(self) -> bool:
        """Keys with values."""
        from yaml.nodes import MappingNode

        return isinstance(self.node, MappingNode)

    @property
    def is_list(self) -> bool:
        """A sequence."""
        from yaml.nodes import SequenceNode

        return isinstance(self.node, SequenceNode)

    # -- mappings and lists ----------------------------------------------------------------------------------------
    def items(self) -> Iterator[tuple[str, Node, Node]]:
        """``(key, the key itself, value)`` of a mapping; nothing at all is an empty one. ``<<`` brings in the keys of
        others."""
        if self.is_null:
            return
        if not self.is_mapping:
            self.fail(f"{self.path or 'the file'} must be a mapping of keys to values")
        seen: set[str] = set()
        merged: list[tuple[str, Node, Node]] = []
        for key_node, value_node in self.node.value:
            key = Node(key_node, self.file, self.path)
            name = key.text()
            value = Node(value_node, self.file, f"{self.path}.{name}" if self.path else name)
            if name == "<<" and not key_node.style:
                merged += [m for other in (value.elements() if value.is_list else [value]) for m in other.items()]
                continue
            if name in seen:
                key.fail(f"{value.path} is there twice", "keep one of them, or rename it")
            seen.add(name)
            yield name, key, value
        for name, key, value in merged:
            if name not in seen:
                seen.add(name)
                yield name, key, Node(value.node, self.file, f"{self.path}.{name}" if self.path else name)

    def section(self, known: Collection[str]) -> Mapping[str, Node]:
        """A mapping whose keys are all in ``known``."""
        found = {}
        for name, key, value in self.items():
            if name not in known:
                key.unknown(name, known, f"{value.path} is nothing that a test can say")
            found[name] = value
        return found

    def elements(self) -> list[Node]:
        """Those of a list; nothing at all is an empty one."""
        if self.is_null:
            return []
        if not self.is_list:
            self.fail(f"{self.path} must be a list")
        return [Node(n, self.file, f"{self.path}[{i}]") for i, n in enumerate(self.node.value)]

    # -- values ----------------------------------------------------------------------------------------------------
    def text(self) -> str:
        """A single value, as it is written."""
        from yaml.nodes import ScalarNode

        if not isinstance(self.node, ScalarNode):
            self.fail(f"{self.path or 'a key'} must be a single value")
        return str(self.node.value)

    def truth(self) -> bool:
        """``true`` or ``false``."""
        cell = self.cell()
        if cell.form is not Form.BOOL:
            self.fail(f"{self.path} must be true or false")
        return cell.text == "true"

    def cell(self, depth: int = 0) -> Cell:
        """The value, with all that is in it."""
        from yaml.nodes import MappingNode, ScalarNode

        if depth > _DEEPEST:
            self.fail(f"{self.path} is nested too deeply", "does an anchor contain itself?")
        place = self.where
        line, column = place.line or 1, place.column or 1
        if isinstance(self.node, ScalarNode):
            quoted = bool(self.node.style)  # or a block
            form, text = (Form.TEXT, self.node.value) if quoted else plain(self.node.value)
            return Cell(form, text, line=line, column=column)
        if isinstance(self.node, MappingNode):
            fields = tuple((name, value.cell(depth + 1)) for name, _, value in self.items())
            return Cell(Form.MAPPING, fields=fields, line=line, column=column)
        return Cell(Form.LIST, items=tuple(n.cell(depth + 1) for n in self.elements()), line=line, column=column)


def read(file: Path, text: str, path: str) -> Node | None:
    """The file's root; None where there is nothing in it. ``path``: of the file, for messages.

    Raises:
        UnitTestError: it isn't YAML.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        node = yaml.compose(text, Loader=loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = Where(file, mark.line + 1, mark.column + 1) if mark else Where(file)
        problem = getattr(error, "problem", None) or "it doesn't parse"
        raise UnitTestError(
            f"{path} is not YAML: {problem}", where=where, hint="check indents, colons and quotes"
        ) from error
    return None if node is None else Node(node, file)
