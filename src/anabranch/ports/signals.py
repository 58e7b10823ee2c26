"""Whether data may be computed yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from anabranch.domain.intervals import Span, Spans
from anabranch.domain.names import AssetName
from anabranch.domain.signals import Call


class Signals(Protocol):
    """A project's signals."""

    def require(self, asset: AssetName, call: Call) -> None:
        """Raises ``ModelError`` where there is no such signal."""
        ...

    def ready(self, asset: AssetName, call: Call, due: Sequence[Span]) -> Spans:
        """Which of ``due``, the single intervals of ``asset``, may be computed.

        Raises:
            ModelError: there is no such signal, or it failed.
        """
        ...
