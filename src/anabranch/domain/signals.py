"""Signals: functions of the project that say whether data may be computed yet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anabranch.domain.ids import canonical

PROPERTY = "signals"
"""Of a snapshot: what its model waits for, as :func:`encode` writes it."""


@dataclass(frozen=True, slots=True)
class Call:
    """``ready(table := 'x')``: the signal's name in lower case, and what it is called with."""

    name: str
    arguments: Mapping[str, object]


def encode(calls: Sequence[Call]) -> str:
    """As a property."""
    return canonical([[c.name, dict(c.arguments)] for c in calls]).decode()


def decode(properties: Mapping[str, str]) -> list[Call]:
    """Those that a snapshot's properties name."""
    return [Call(name, arguments) for name, arguments in json.loads(properties.get(PROPERTY, "[]"))]
