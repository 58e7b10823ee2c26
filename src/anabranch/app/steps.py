"""Steps of a plan, carried out with their providers open; what breaks is told, and what is skipped for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TypeVar

from anabranch.app import events
from anabranch.app.scheduling import Outcome, in_order
from anabranch.domain.ids import StepId
from anabranch.domain.plan import Audits, Build, Merge, Refresh
from anabranch.errors import AnabranchError, AuditFailed
from anabranch.ports.provider import Provider

T = TypeVar("T")


def carry_out(
    steps: Mapping[StepId, Build | Refresh | Merge | Audits],
    do: Callable[[StepId], T],
    *,
    providers: Mapping[str, Provider],
    listen: events.Listener,
    stop: Callable[[], None],
) -> Outcome[T]:
    """All that can be, in the order of what needs what.

    Args:
        do: one step; called by as many threads at once as one of ``providers`` has workers.
        listen: hears of what broke, unless it was an audit, which tells that itself, and of data that is not computed.
        stop: as for :func:`anabranch.app.scheduling.in_order`.

    Raises:
        KeyboardInterrupt: after what ran was stopped.
    """

    def broke(step: StepId, error: AnabranchError) -> None:
        if not isinstance(error, AuditFailed):  # that one was told already
            listen(events.BuildBroke(steps[step].asset, error))

    def skipped(step: StepId, because: StepId) -> None:
        if not isinstance(steps[step], Audits):
            listen(events.BuildSkipped(steps[step].asset, steps[because].asset))

    with ExitStack() as stack:
        for provider in sorted({s.provider for s in steps.values()}):
            stack.enter_context(providers[provider].opened())
        return in_order(
            {i: s.needs for i, s in steps.items()},
            do,
            workers=max((p.workers for p in providers.values()), default=1),
            broke=broke,
            skipped=skipped,
            stop=stop,
        )
