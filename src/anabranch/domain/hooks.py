"""Statements of the user's that run around what Anabranch does."""

from __future__ import annotations

from dataclasses import dataclass, field

from anabranch.errors import Where

THIS = "@this_model"
"""In the template of a statement: the model's own table, or the view that readers see."""
INDEX = "@index:"
"""In a template: begins the name of an index, which no other version of the model may have."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A statement of ``before_all`` or ``after_all``. ``hidden``: values that were put into it from the process's
    environment, and mustn't be shown."""

    text: str = field(repr=False)
    where: Where | None = None
    hidden: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Hooks:
    """What runs before and after each change of an environment."""

    before: tuple[Hook, ...] = ()
    after: tuple[Hook, ...] = ()


@dataclass(frozen=True, slots=True)
class Statements:
    """What a model's file says besides its query, as templates: text and asset by turns, where an asset may be
    :data:`THIS`. ``before`` and ``after`` run around the build, ``shown`` whenever the view is made."""

    before: tuple[tuple[str, ...], ...] = ()
    after: tuple[tuple[str, ...], ...] = ()
    shown: tuple[tuple[str, ...], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.before or self.after or self.shown)

    def encode(self) -> list[list[list[str]]]:
        """As plain lists."""
        return [[list(t) for t in part] for part in (self.before, self.after, self.shown)]

    @staticmethod
    def decode(raw: list[list[list[str]]]) -> Statements:
        """The inverse of :meth:`encode`."""
        return Statements(*(tuple(tuple(t) for t in part) for part in raw))
