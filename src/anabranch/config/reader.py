"""YAML with places: every value knows its file and line, and every key must be known."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from anabranch.domain.names import nearest
from anabranch.errors import ConfigError, Where
from anabranch.sql.macros.values import Value as Plain

if TYPE_CHECKING:
    from yaml.nodes import Node

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_SPAN = re.compile(r"(\d+)\s*(s|m|h|d|w)\Z")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the file. ``path``: the keys that lead to it, for messages."""

    node: Node
    file: Path
    path: str = ""

    @property
    def where(self) -> Where:
        mark = self.node.start_mark
        return Where(self.file, mark.line + 1, mark.column + 1)

    def fail(self, message: str, hint: str | None = None) -> NoReturn:
        """Raises ``ConfigError`` that names the file and line."""
        raise ConfigError(message, where=self.where, hint=hint)

    # -- mappings --------------------------------------------------------------------------------------------------
    def items(self) -> Iterator[tuple[str, Value, Value]]:
        """``(key, the key itself, value)`` of a mapping; an empty value is an empty mapping."""
        from yaml.nodes import MappingNode, ScalarNode

        if isinstance(self.node, ScalarNode) and self.node.tag.endswith(":null"):
            return
        if not isinstance(self.node, MappingNode):
            self.fail(f"{self.path or 'the file'} must be a mapping of keys to values")
        seen: set[str] = set()
        for key_node, node in self.node.value:
            key = Value(key_node, self.file, self.path)
            name = key.text()
            if name in seen:
                key.fail(f"{self._under(name)} is there twice", "keep one of them")
            seen.add(name)
            yield name, key, Value(node, self.file, self._under(name))

    def section(self, known: Collection[str]) -> Mapping[str, Value]:
        """A mapping whose keys are all in ``known``."""
        found = {}
        for name, key, value in self.items():
            if name not in known:
                near = nearest(name, sorted(known))
                key.fail(
                    f"{self._under(name)} is not a setting",
                    f"did you mean {near}?" if near else f"known here: {', '.join(sorted(known))}",
                )
            found[name] = value
        return found

    def _under(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    # -- scalars ---------------------------------------------------------------------------------------------------
    def text(self) -> str:
        """A scalar as written, with ``${VARIABLES}`` (``${NAME:-default}``) put in from the process's environment."""
        from yaml.nodes import ScalarNode

        if not isinstance(self.node, ScalarNode) or self.node.tag.endswith(":null"):
            self.fail(f"{self.path or 'a key'} must be a single value")

        def put_in(match: re.Match[str]) -> str:
            name, default = match.groups()
            found = os.environ.get(name, default)
            if found is None:
                self.fail(f"{self.path} needs the variable {name}, which isn't set", f"export {name}=…")
            return str(found)

        return _VARIABLE.sub(put_in, str(self.node.value))

    def choice(self, known: Collection[str]) -> str:
        """One of ``known``."""
        text = self.text()
        if text not in known:
            near = nearest(text, sorted(known))
            self.fail(
                f"{self.path} can't be {text!r}",
                f"did you mean {near}?" if near else f"one of {', '.join(sorted(known))}",
            )
        return text

    def span(self) -> timedelta:
        """A length of time: ``14d``, ``12h``, ``30m``, ``2w``."""
        try:
            return span(self.text())
        except ValueError as error:
            self.fail(f"{self.path}: {error}", "write it as 14d, 12h, 30m or 2w")

    def integer(self) -> int:
        """A whole number above zero."""
        text = self.text()
        if not text.isdigit() or int(text) < 1:
            self.fail(f"{self.path} must be a whole number above zero, not {text!r}")
        return int(text)

    def plain(self) -> Plain:
        """A text, a number, true or false, null, or a list of these."""
        from yaml import SafeLoader
        from yaml.constructor import SafeConstructor
        from yaml.nodes import ScalarNode, SequenceNode

        if isinstance(self.node, SequenceNode):
            return [Value(n, self.file, self.path).plain() for n in self.node.value]
        if not isinstance(self.node, ScalarNode):
            self.fail(f"{self.path} must be a single value or a list", "give each of its values a name of its own")
        kind = self.node.tag.rpartition(":")[2]
        if kind == "null":
            return None
        if kind not in ("int", "float", "bool"):
            return self.text()
        found: int | float | bool = SafeConstructor.construct_object(SafeLoader(""), self.node)
        if isinstance(found, float) and not math.isfinite(found):
            self.fail(f"{self.path} must be a finite number, not {self.node.value}")
        return found

    def texts(self) -> tuple[str, ...]:
        """A list of scalars; a single one stands for a list of one."""
        return tuple(member.text() for member in self.members())

    def members(self) -> list[Value]:
        """Of a list; what isn't one is its own and only member."""
        from yaml.nodes import SequenceNode

        if isinstance(self.node, SequenceNode):
            return [Value(n, self.file, self.path) for n in self.node.value]
        return [self]

    def hidden(self) -> tuple[str, ...]:
        """The values that :meth:`text` takes from the process's environment."""
        return tuple(os.environ[m[1]] for m in _VARIABLE.finditer(str(self.node.value)) if m[1] in os.environ)


def span(text: str) -> timedelta:
    """``14d`` as a length of time. Raises ``ValueError``."""
    match = _SPAN.match(text.strip())
    if match is None or int(match.group(1)) == 0:
        raise ValueError(f"{text!r} is not a length of time")
    try:
        return timedelta(**{_UNITS[match.group(2)]: int(match.group(1))})
    except OverflowError:
        raise ValueError(f"{text!r} is too long") from None


def read(file: Path) -> Value:
    """The file's root. Raises ``ConfigError`` where it can't be read or isn't YAML."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        text = file.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=loader)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{file.name} can't be read: {reason}", where=Where(file)) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = Where(file, mark.line + 1, mark.column + 1) if mark else Where(file)
        problem = getattr(error, "problem", None) or "it doesn't parse"
        raise ConfigError(
            f"{file.name} is not YAML: {problem}", where=where, hint="check indents, colons and quotes"
        ) from error
    if node is None:
        raise ConfigError(f"{file.name} is empty", where=Where(file), hint="begin with: project: NAME")
    return Value(node, file)
