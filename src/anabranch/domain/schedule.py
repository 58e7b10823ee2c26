"""When a model's data is due: its cron expression, its unit of time, and the span that it should hold by now.

Cron expressions are read by cronsim, a pure library: nothing here looks at a clock (docs/decisions/0010).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

from cronsim import CronSim, CronSimError

from anabranch.domain.intervals import Span, Unit, moment, seconds

DAILY = "@daily"
PRESETS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_SAMPLE = 24
"""Ticks that are looked at to find the shortest gap between two."""
_NEVER = "it never fires"
_ORIGIN = datetime(2023, 12, 1, tzinfo=UTC)  # a leap day lies ahead


@dataclass(frozen=True, slots=True)
class Schedule:
    """``start`` and ``end`` in seconds since 1970, ``end`` excluded; None where not said."""

    cron: str = DAILY
    unit: Unit = Unit.DAY
    start: int | None = None
    end: int | None = None
    lookback: int = 0
    batch_size: int | None = None
    batch_concurrency: int = 1

    def ticked(self, now: datetime) -> datetime:
        """The last moment at or before ``now`` at which the model was due."""
        ticks = CronSim(_spelled(self.cron), (now + timedelta(seconds=1)).replace(microsecond=0), reverse=True)
        return next(ticks)

    def following(self, now: datetime) -> datetime:
        """The next moment after ``now`` at which it is due."""
        return next(CronSim(_spelled(self.cron), now))

    def wanted(self, now: datetime, held_from: int | None = None) -> Span:
        """What the model should hold at ``now``: from its start up to the last whole unit when it was last due. Without
        a start: from ``held_from``, else the last unit alone."""
        last = self.unit.floor(seconds(self.ticked(now)))
        end = last if self.end is None else min(last, self.unit.floor(self.end))
        start = self.start if self.start is not None else held_from
        begin = self.unit.after(end, -1) if start is None else self.unit.floor(start)
        return min(begin, end), end


def read(properties: Mapping[str, str]) -> Schedule:
    """The schedule that a snapshot's properties describe."""
    cron = properties.get("cron", DAILY)
    said = properties.get("interval_unit")
    return Schedule(
        cron=cron,
        unit=Unit(said) if said else unit_of(cron),
        start=int(properties["start"]) if "start" in properties else None,
        end=int(properties["end"]) if "end" in properties else None,
        lookback=int(properties.get("lookback", 0)),
        batch_size=int(properties["batch_size"]) if "batch_size" in properties else None,
        batch_concurrency=int(properties.get("batch_concurrency", 1)),
    )


def check(cron: str) -> None:
    """Raises ``ValueError`` with a phrase where ``cron`` isn't an expression, or never fires."""
    try:
        next(CronSim(_spelled(cron), _ORIGIN))
    except CronSimError as error:
        raise ValueError(_NEVER if _is_right_in_any_month(cron) else str(error).lower()) from error
    except StopIteration:
        raise ValueError(_NEVER) from None


def _is_right_in_any_month(cron: str) -> bool:
    """Whether each part is right by itself, so that only the day isn't in the month: cronsim says the same of both."""
    minute, hour, day, month, *rest = [*cron.split(), "", "", "", ""]
    try:
        for each in ([minute, hour, day, "*"], [minute, hour, "*", month]):
            next(CronSim(" ".join([*each, *rest]).strip(), _ORIGIN))
    except (CronSimError, StopIteration):
        return False
    return True


def unit_of(cron: str) -> Unit:
    """The coarsest unit that isn't longer than the shortest time between two ticks."""
    if cron in (DAILY, "@midnight"):
        return Unit.DAY
    ticks = list(islice(CronSim(_spelled(cron), _ORIGIN), _SAMPLE))
    gaps = [later - earlier for earlier, later in pairwise(ticks)]
    return Unit.of(min(gaps, default=timedelta(days=366)))


def day(text: str) -> int:
    """A date or a moment, in UTC where it names no zone, in seconds since 1970. Raises ``ValueError``."""
    return seconds(datetime.fromisoformat(text.strip()))


def last_day(text: str) -> int:
    """The same as an end, excluded: a bare date means the whole of it."""
    at = day(text)
    return at + 86400 if len(text.strip()) <= len("2024-01-01") else at


def spoken(at: int) -> str:
    """A moment for people: as short as it can be said."""
    found = moment(at)
    return f"{found:%Y-%m-%d}" if at % 86400 == 0 else f"{found:%Y-%m-%d %H:%M:%S}"


def _spelled(cron: str) -> str:
    return PRESETS.get(cron.lower(), cron)
