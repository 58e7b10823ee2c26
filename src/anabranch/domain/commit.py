"""Commits and environments: a ref into a history of trees."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from anabranch.domain.ids import CommitId, PlanId, TreeId, canonical, digest
from anabranch.domain.names import EnvironmentName


class Action(StrEnum):
    """What a plan does, and what a commit says was done."""

    CREATE = "create"
    """A new environment begins at another's head; in a commit where it begins with clones of its own."""
    APPLY = "apply"
    PROMOTE = "promote"
    UNDO = "undo"
    RESTORE = "restore"
    RUN = "run"
    ADOPT = "adopt"
    """Tables that somebody else made came under management."""
    CLONE = "clone"
    """The environment got clones of sources, or gave them up."""
    DROP = "drop"
    """Never in a commit: a dropped environment has no head."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One state of an environment. ``parents[0]`` is the state it replaced (or began from)."""

    tree: TreeId
    parents: tuple[CommitId, ...]
    height: int
    """One more than the highest parent; orders the search for a merge base."""
    environment: EnvironmentName
    action: Action
    author: str
    at: datetime
    """When, in UTC."""
    message: str = ""
    plan: PlanId | None = None
    restores: CommitId | None = None
    """The commit whose state an undo or a restore brought back."""
    refreshed: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """The locations whose data it moved on (or back): from which generation to which, by number."""

    @property
    def lineage(self) -> tuple[CommitId, ...]:
        """Where its content comes from: its parents, or the state that it brought back. A change that was undone is
        not part of it, and so can be promoted again."""
        return (self.restores,) if self.restores is not None else self.parents

    @property
    def id(self) -> CommitId:
        return CommitId(digest(b"commit" + encode(self)))


@dataclass(frozen=True, slots=True)
class Environment:
    """A named ref with its circumstances."""

    name: EnvironmentName
    head: CommitId
    base: EnvironmentName | None = None
    """The environment it began from."""
    began: CommitId | None = None
    """The state it began as, which is that environment's."""
    branch: str | None = None
    """The git branch it was made for, as git spells it."""
    owner: str = ""
    created_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    expires_at: datetime | None = None
    protected: bool = False
    """Changed only when the user says so (``--yes``); never dropped."""

    def at(self, head: CommitId) -> Environment:
        """The same environment at another commit."""
        return replace(self, head=head)

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


ReadCommits = Callable[[Collection[CommitId]], Mapping[CommitId, Commit]]


def encode(commit: Commit) -> bytes:
    """As stored, and as hashed."""
    return canonical(
        {
            "tree": commit.tree,
            "parents": list(commit.parents),
            "height": commit.height,
            "environment": commit.environment,
            "action": commit.action,
            "author": commit.author,
            "at": commit.at.isoformat(),
            "message": commit.message,
            "plan": commit.plan,
            "restores": commit.restores,
            **({"refreshed": {k: list(v) for k, v in commit.refreshed.items()}} if commit.refreshed else {}),
        }
    )


def decode(data: bytes) -> Commit:
    """The inverse of :func:`encode`."""
    raw = json.loads(data)
    raw["parents"] = tuple(raw["parents"])
    raw["action"] = Action(raw["action"])
    raw["at"] = datetime.fromisoformat(raw["at"])
    raw["refreshed"] = {k: (before, after) for k, (before, after) in raw.get("refreshed", {}).items()}
    return Commit(**raw)


def encode_environment(environment: Environment) -> bytes:
    """As stored under the environment's name."""
    e = environment
    return canonical(
        {
            "name": e.name,
            "head": e.head,
            "base": e.base,
            "began": e.began,
            "branch": e.branch,
            "owner": e.owner,
            "created_at": e.created_at.isoformat(),
            "expires_at": e.expires_at.isoformat() if e.expires_at else None,
            "protected": e.protected,
        }
    )


def decode_environment(data: bytes) -> Environment:
    """The inverse of :func:`encode_environment`."""
    raw = json.loads(data)
    raw["created_at"] = datetime.fromisoformat(raw["created_at"])
    raw["expires_at"] = datetime.fromisoformat(raw["expires_at"]) if raw["expires_at"] else None
    return Environment(**raw)


def history(read: ReadCommits, head: CommitId) -> Iterator[tuple[CommitId, Commit]]:
    """``head`` and what it replaced, newest first (first parents only)."""
    following: CommitId | None = head
    while following is not None:
        commit = read([following])[following]
        yield following, commit
        following = commit.parents[0] if commit.parents else None


def ancestors(read: ReadCommits, heads: Collection[CommitId]) -> dict[CommitId, Commit]:
    """``heads`` and all that came before them, by every parent."""
    seen: dict[CommitId, Commit] = {}
    level = set(heads)
    while level:
        found = read(level)
        seen.update(found)
        level = {p for c in found.values() for p in c.parents} - seen.keys()
    return seen


def merge_base(read: ReadCommits, ours: CommitId, theirs: CommitId) -> CommitId | None:
    """The best common ancestor: the highest state that both sides come from.

    What a side was itself is always counted. What was promoted into it is counted where its content still comes from
    there (:attr:`Commit.lineage`): an undone promotion can be made again, and yet whoever began after it, and promotes
    something else, doesn't bring it back.
    """
    from_ours, from_theirs = 1, 2
    sides: dict[CommitId, int] = {}
    live: dict[CommitId, int] = {}  # on which sides' lineage it is
    queue: list[tuple[int, CommitId]] = []

    def reach(commit: CommitId, side: int, living: int) -> None:
        if not side:
            return
        if commit not in sides:
            heapq.heappush(queue, (-read([commit])[commit].height, commit))
        sides[commit] = sides.get(commit, 0) | side
        live[commit] = live.get(commit, 0) | living

    reach(ours, from_ours, from_ours)
    reach(theirs, from_theirs, from_theirs)
    while queue:
        _, at = heapq.heappop(queue)
        if sides[at] == from_ours | from_theirs:
            return at
        commit = read([at])[at]
        for parent in commit.parents[:1]:
            reach(parent, sides[at], 0)
        for origin in commit.lineage:
            reach(origin, live[at], live[at])
    return None


def undo_target(read: ReadCommits, environment: Environment) -> tuple[CommitId, CommitId] | None:
    """``(undone, restored)``: the change that an undo takes back, and the state it returns to.

    Undoing again goes one change further back, as in an editor: an undo commit stands for the state before the commit
    that it undid. None where there is nothing before, or only what the environment began from.
    """
    at = environment.head
    while True:
        commit = read([at])[at]
        if at == environment.began or commit.environment != environment.name or not commit.parents:
            return None
        if commit.action is not Action.UNDO or commit.restores is None:
            return at, commit.parents[0]
        at = commit.restores
