"""What is measured: the steps, in the order in which a project lives through them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from generate import Edit


class Step(Enum):
    """A step. Its value names it on the command line and in the results."""

    HELP = "help"
    FIRST_APPLY = "first-apply"
    LOAD_COLD = "load-cold"
    LOAD_WARM = "load-warm"
    NOOP_PLAN = "noop-plan"
    ENV_NEW = "env-new"
    LEAF_APPLY = "leaf-apply"
    PROMOTE = "promote"
    ROOT_PLAN = "root-plan"
    ROOT_APPLY = "root-apply"
    COMMENT_APPLY = "comment-apply"
    REFACTOR_APPLY = "refactor-apply"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class About:
    """What a step is: its title, the edit made before it, the edit taken back before that, whether it changes data."""

    title: str
    changes: bool = False
    edit: Edit | None = None
    restore: Edit | None = None


ABOUT = {
    Step.HELP: About("`--help`"),
    Step.FIRST_APPLY: About("first apply of prod, builds every table", changes=True),
    Step.LOAD_COLD: About("load the project, no cache"),
    Step.LOAD_WARM: About("load the project, warm"),
    Step.NOOP_PLAN: About("plan, nothing changed"),
    Step.ENV_NEW: About("new complete environment", changes=True),
    Step.LEAF_APPLY: About("edit one leaf, apply in the environment", changes=True, edit=Edit.LEAF_EXPRESSION),
    Step.PROMOTE: About("promote it to prod", changes=True),
    Step.ROOT_PLAN: About("new column in a root, plan", edit=Edit.ROOT_COLUMN),
    Step.ROOT_APPLY: About("new column in a root, apply in the environment", changes=True, edit=Edit.ROOT_COLUMN),
    Step.COMMENT_APPLY: About(
        "comment in a root, apply in the environment",
        changes=True,
        edit=Edit.ROOT_COMMENT,
        restore=Edit.ROOT_COLUMN,
    ),
    Step.REFACTOR_APPLY: About(
        "a root written otherwise, with the same rows, apply in the environment",
        changes=True,
        edit=Edit.ROOT_REFACTORED,
        restore=Edit.ROOT_COMMENT,
    ),
    Step.UNDO: About("undo the promote", changes=True),
}

#: At sizes above those of the peers, ours is measured for what must not grow.
LARGE_STEPS = frozenset({Step.FIRST_APPLY, Step.LOAD_COLD, Step.LOAD_WARM, Step.NOOP_PLAN})
LARGEST_FOR_ALL = 1_000


def needed(chosen: frozenset[Step]) -> list[Step]:
    """The steps to go through so that each chosen one finds what it stands on, in order."""
    order = list(Step)
    last = max(order.index(step) for step in chosen)
    return [step for step in order[: last + 1] if step in chosen or ABOUT[step].changes]
