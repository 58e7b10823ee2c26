"""``before_all`` and ``after_all``: statements that run around each change of an environment, outside its transaction.

They run at least once: whoever carries an interrupted change forward runs ``after_all`` again, for nobody can tell how
far it had come.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from anabranch.app import events
from anabranch.domain.commit import Action
from anabranch.domain.hooks import Hook, Hooks
from anabranch.domain.plan import Plan
from anabranch.errors import AnabranchError, HookFailed, Where
from anabranch.ports.provider import Tables

AROUND = frozenset({Action.APPLY, Action.PROMOTE, Action.RUN})
"""The actions that hooks run around."""


class HookRunner:
    """Runs the hooks of a project."""

    def __init__(self, tables: Tables, hooks: Hooks, listen: events.Listener) -> None:
        self._tables = tables
        self._hooks = hooks
        self._listen = listen

    def notes(self, plan: Plan) -> tuple[str, ...]:
        """What the user should know before ``plan`` is applied."""
        if plan.action not in AROUND or plan.is_empty:
            return ()
        numbers = {"before": len(self._hooks.before), "after": len(self._hooks.after)}
        said = [f"{n} {'statement' if n == 1 else 'statements'} {when}" for when, n in numbers.items() if n]
        return (f"hooks: {' and '.join(said)}",) if said else ()

    def runs(self, plan: Plan) -> bool:
        """Whether statements of the user run around ``plan``: they may change anything."""
        return plan.action in AROUND and bool(self._hooks.before or self._hooks.after)

    def before(self, plan: Plan) -> None:
        """Raises ``HookFailed``; then the plan isn't to be carried out."""
        failed = self._run(plan, "before_all", self._hooks.before)
        if failed is not None:
            raise HookFailed(
                f"{failed[1]}; {plan.environment} is as it was", where=failed[0], hint="mend the statement, then again"
            )

    def after(self, plan: Plan) -> HookFailed | None:
        """What failed, once the environment has moved."""
        failed = self._run(plan, "after_all", self._hooks.after)
        if failed is None:
            return None
        return HookFailed(
            f"{plan.environment} has moved, but {failed[1]}",
            where=failed[0],
            hint="mend the statement, and run the rest of after_all by hand",
            unchanged=False,
        )

    def _run(self, plan: Plan, what: str, hooks: Sequence[Hook]) -> tuple[Where | None, str] | None:
        """Where it failed and how; None where it didn't."""
        if plan.action not in AROUND or not hooks:
            return None
        began = time.perf_counter()
        at: list[Hook] = []

        def texts() -> Iterator[str]:
            for hook in hooks:
                at.append(hook)
                yield hook.text

        try:
            self._tables.execute(plan.environment, texts())
        except AnabranchError as error:
            hook = at[-1] if at else hooks[0]
            number = f" (statement {len(at)} of {len(hooks)})" if len(hooks) > 1 else ""
            return hook.where, f"{what}{number} failed: {_told(error, hook)}"
        self._listen(events.HooksRan(what, len(hooks), time.perf_counter() - began))
        return None


def _told(error: AnabranchError, hook: Hook) -> str:
    """The first line of what the engine says, which may repeat the statement, without what is to be hidden."""
    text = error.message.strip().splitlines()[0] if error.message.strip() else type(error).__name__
    for value in sorted(hook.hidden, key=len, reverse=True):
        text = text.replace(value, "…") if value else text
    return text
