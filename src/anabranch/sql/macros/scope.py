"""What a file's macros may refer to, and what they did refer to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

from anabranch.errors import ModelError
from anabranch.sql.macros.text import Mapped
from anabranch.sql.macros.values import Value

Use = tuple[str, str]
"""Something that an expansion depends on, and its name: ``var``, ``env``, ``macro``, ``jinja``, ``columns``,
``module`` (a file of Python)."""
MAX_DEPTH = 50
"""Of expansions in expansions."""
MAX_STEPS = 20_000
"""Of expansions in one model."""
MAX_LENGTH = 5_000_000
"""Of a model's text after expansion, in characters."""
RUNTIME = frozenset({"this_env", "gateway", "runtime_stage", "model_kind_name", "this_model"})
"""Variables that every model has, besides the moments of its interval."""


class ColumnsUnknown(ModelError):
    """The columns of ``relation`` are needed, and aren't known (yet)."""

    relation: str = ""


class PythonMacro(Protocol):
    """A function of the project's ``macros/*.py``."""

    def __call__(self, evaluator: Evaluator, arguments: Sequence[str], named: Mapping[str, str]) -> str:
        """SQL, for arguments that are SQL. Raises ``MacroFailed``."""
        ...


class MacroFailed(ValueError):
    """A Python macro raised, or can't take its arguments. Told with the place in the model by whoever called it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is the same for all files of a load. Names of variables are in lower case."""

    dialect: str = "duckdb"
    default_schema: str = "main"
    variables: Mapping[str, Value] = field(default_factory=dict)
    environment: str = ""
    gateway: str = "duckdb"
    python: Mapping[str, PythonMacro] = field(default_factory=dict)
    jinja: Mapping[str, str] = field(default_factory=dict)
    """Texts of files with Jinja macros, by path."""
    columns: Callable[[str], Sequence[str] | None] = lambda name: None
    """The columns of an asset, where they are known."""


class Function(NamedTuple):
    """``x -> body``: made by ``@DEF``, or an argument of ``@EACH``."""

    params: tuple[str, ...]
    body: Mapped


class Moment(NamedTuple):
    """One of :data:`anabranch.sql.macros.moments.MOMENTS`."""

    name: str


Local: TypeAlias = "Value | Function | Moment"


@dataclass(frozen=True, slots=True)
class Scope:
    """Names in sight: of ``@DEF``, and the parameters of functions; these (``bare``) without an ``@`` as well."""

    locals: Mapping[str, Local] = field(default_factory=dict)
    bare: frozenset[str] = frozenset()

    def having(self, params: Mapping[str, Local]) -> Scope:
        """With the parameters of a function."""
        return Scope({**self.locals, **params}, self.bare | set(params))


@dataclass(frozen=True, slots=True)
class Call:
    """``@NAME(arguments)``: ``place`` is in the file."""

    name: str
    args: list[Mapped]
    named: dict[str, Mapped]
    place: tuple[int, int]
    scope: Scope
    depth: int


class Evaluator:
    """What a Python macro is given first."""

    __slots__ = ("_lookup", "columns_to_types", "dialect", "locals")

    def __init__(
        self,
        lookup: Callable[[str], tuple[bool, Value]],
        columns: Callable[[str], Sequence[str] | None],
        dialect: str,
        values: dict[str, object],
    ) -> None:
        self._lookup = lookup
        self.columns_to_types = columns
        self.dialect = dialect
        self.locals = values
        """What ``@DEF`` and functions around the call have defined."""

    def var(self, name: str, default: Value = None) -> Value:
        """The value of a variable of the project, of the blueprint, or one that every model has."""
        found, value = self._lookup(name)
        return value if found else default

    blueprint_var = var

    @property
    def this_env(self) -> Value:
        """The environment's name."""
        return self.var("this_env")

    @property
    def gateway(self) -> Value:
        """The warehouse's engine."""
        return self.var("gateway")

    @property
    def runtime_stage(self) -> Value:
        """Always ``evaluating``."""
        return self.var("runtime_stage")

    @property
    def this_model(self) -> Value:
        """The model's name."""
        return self.var("this_model")
