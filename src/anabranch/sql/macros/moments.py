"""The interval that a build is about: ``@start_ds``, ``@end_ts``, ``@execution_date`` and their like.

They aren't known before the build. So expansion leaves, in a string literal, a *sentinel* in the place of each: the
variable's name between two marks that no text of a user can contain. What stands around it gives it its type, so that
the query parses, and means the same in every interval: its fingerprint doesn't depend on when it is built. The build
puts the values in, with :func:`fill_moments`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

MARK = "\x02"
"""Stands on both sides of a sentinel's name."""
ENDS = ("start", "end", "execution")

_FORMS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "ds": ("ds", ""),
        "date": ("ds", "DATE"),
        "ts": ("ts", ""),
        "tstz": ("tstz", ""),
        "dt": ("ts", "TIMESTAMP"),
        "dtntz": ("ts", "TIMESTAMP"),
        "epoch": ("epoch", "BIGINT"),
        "millis": ("millis", "BIGINT"),
        "hour": ("hour", "BIGINT"),
    }
)
"""For the second half of a variable's name: the sentinel's, and the type that the literal is cast to."""
_KINDS = frozenset(sentinel for sentinel, _ in _FORMS.values())
_SENTINEL = re.compile(rf"{MARK}({'|'.join(ENDS)})_({'|'.join(sorted(_KINDS))}){MARK}")
_INTERVAL = re.compile(rf"{MARK}(start|end)_")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MOMENTS = frozenset(f"{end}_{form}" for end in ENDS for form in _FORMS)
"""The names of the variables."""


def sentinel(name: str) -> str:
    """What stands for the variable ``name`` (one of :data:`MOMENTS`), to be put between quotes."""
    end, _, form = name.partition("_")
    return f"{MARK}{end}_{_FORMS[form][0]}{MARK}"


def moment_sql(name: str) -> str:
    """The SQL that stands for the variable ``name`` (one of :data:`MOMENTS`): a string literal around its sentinel,
    cast to its type. ``_ds``, ``_ts`` and ``_tstz`` are texts."""
    kind = _FORMS[name.partition("_")[2]][1]
    literal = f"'{sentinel(name)}'"
    return f"CAST({literal} AS {kind})" if kind else literal


def fill_moments(text: str, start: datetime, end: datetime, execution: datetime) -> str:
    """Rendered SQL with the values of an interval in place of all sentinels.

    The interval is half open: ``start`` belongs to it, ``end`` doesn't. The variables ``@end_…`` are about its last
    microsecond, so that ``BETWEEN`` is right: for the day of 2024-01-01 (``end`` 2024-01-02), ``@end_ds`` is
    ``2024-01-01`` and ``@end_ts`` is ``2024-01-01 23:59:59.999999``. ``_epoch`` are whole seconds and ``_millis`` whole
    milliseconds since 1970 in UTC, rounded down; ``_hour`` is the hour of the day. ``execution``: when the run began.

    Raises:
        ValueError: a time without a zone, or an interval that is empty.
    """
    if MARK not in text:
        return text
    if any(at.tzinfo is None for at in (start, end, execution)):
        raise ValueError("the moments of an interval need a time zone")
    if start >= end:
        raise ValueError(f"the interval from {start} to {end} is empty")
    moments = {"start": start, "end": end - timedelta(microseconds=1), "execution": execution}
    moments = {name: at.astimezone(UTC) for name, at in moments.items()}
    return _SENTINEL.sub(lambda found: _value(moments[found[1]], found[2]), text)


def uses_interval(text: str) -> bool:
    """Whether rendered SQL, or a query, depends on the interval's start or end."""
    return _INTERVAL.search(text) is not None


def has_moments(text: str) -> bool:
    """Whether there is anything for :func:`fill_moments` to do; besides the interval, ``@execution_…``."""
    return MARK in text


def strays(text: str) -> int | None:
    """Where a mark stands that belongs to no sentinel; None where there is none."""
    at = _SENTINEL.sub(lambda found: " " * len(found[0]), text).find(MARK) if MARK in text else -1
    return None if at < 0 else at


def show_moments(text: str) -> str:
    """For people: each sentinel as the variable that it stands for."""
    return _SENTINEL.sub(lambda found: f"@{found[1]}_{found[2]}", text) if MARK in text else text


def _value(at: datetime, kind: str) -> str:
    if kind == "ds":
        return at.date().isoformat()
    if kind == "hour":
        return str(at.hour)
    if kind == "epoch":
        return str((at - _EPOCH) // timedelta(seconds=1))
    if kind == "millis":
        return str((at - _EPOCH) // timedelta(milliseconds=1))
    text = at.replace(tzinfo=None).isoformat(" ", "microseconds")
    return f"{text}+00:00" if kind == "tstz" else text
