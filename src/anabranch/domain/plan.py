"""A plan is data: what it read, what it will do, why, and the tree that results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from anabranch.domain.commit import Action, Environment
from anabranch.domain.content import Content
from anabranch.domain.ids import CommitId, PlanId, SnapshotId, StepId, TreeId
from anabranch.domain.intervals import Spans
from anabranch.domain.names import AssetName, EnvironmentName


class Verb(StrEnum):
    """What becomes of a changed asset."""

    BUILD = "build"
    """Something physical is made."""
    CLONE = "clone"
    """The environment gets a clone of a source, to write to; no row is copied."""
    COPY = "copy"
    """The same on an engine that has no clones: the rows are copied."""
    REUSE = "reuse"
    """It was built before, by whomever; only the pointer moves."""
    MERGE = "merge"
    """What was written to an environment's clone of a source is written to the source."""
    DEFINE = "define"
    """Nothing physical is needed (a source, an embedded model)."""
    REFRESH = "refresh"
    """Same definition, later data: its next generation is computed, and swapped in under the same name."""
    RETURN = "return"
    """Same definition, an earlier generation of its data."""
    ADOPT = "adopt"
    """A table that somebody else made comes under management: it gets its physical name, and a view its old one."""
    RELEASE = "release"
    """A table that was adopted gets its own name back."""
    DESCRIBE = "describe"
    """Same data; only what is said about it changes."""
    REMOVE = "remove"


class Reason(StrEnum):
    """Why."""

    ADDED = "added"
    CHANGED = "changed"
    UPSTREAM_CHANGED = "upstream-changed"
    DESCRIBED = "described"
    REMOVED = "removed"
    DRIFTED = "drifted"
    DUE = "due"
    PARTIAL = "partial"
    """It was built for a part of its time, as a preview."""
    RESTORED = "restored"
    RESTATED = "restated"
    """It is computed again, for one environment."""
    CLONED = "cloned"
    """It is the environment's own from now on."""
    WRITTEN = "written"
    """Somebody wrote to the environment's clone."""
    MERGED = "merged"
    """What was written to a clone becomes the source's."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one asset, and why. ``because`` is a phrase for people."""

    asset: AssetName
    before: SnapshotId | None
    after: SnapshotId | None
    verb: Verb
    reason: Reason
    because: str = ""


@dataclass(frozen=True, slots=True)
class Build:
    """Make one snapshot's physical form."""

    id: StepId
    provider: str
    asset: AssetName
    snapshot: SnapshotId
    needs: tuple[StepId, ...] = ()
    """The builds that must be done before."""
    again: bool = False
    """What stands there isn't what was built: it is replaced."""
    spans: Spans = ()
    """Of a model with intervals, what is filled."""
    previous: SnapshotId | None = None
    """The version that it takes the place of, where something is carried over from it."""
    keeps: SnapshotId | None = None
    """The version whose data stays, should all that changed in what it reads turn out to hold the same data."""
    anew: Spans = ()
    """Of what is carried over, what is computed again."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """Compute the next generation of what stands at a snapshot's location. All of a plan's become visible together."""

    id: StepId
    provider: str
    asset: AssetName
    snapshot: SnapshotId
    spans: Spans
    needs: tuple[StepId, ...] = ()


@dataclass(frozen=True, slots=True)
class Return:
    """Bring an earlier generation of a location back, ``to`` by number."""

    id: StepId
    provider: str
    asset: AssetName
    snapshot: SnapshotId
    to: int


@dataclass(frozen=True, slots=True)
class Audits:
    """Run the audits of one snapshot that what stands at its location hasn't passed yet, before anything points there.
    ``late``: over what the plan's refreshes made."""

    id: StepId
    provider: str
    asset: AssetName
    snapshot: SnapshotId
    needs: tuple[StepId, ...] = ()
    late: bool = False


@dataclass(frozen=True, slots=True)
class Merge:
    """Make what was written to ``clone`` the next generation of its source. ``content``: what is known of the source's
    generations, where the store doesn't know it."""

    id: StepId
    provider: str
    asset: AssetName
    snapshot: SnapshotId
    clone: SnapshotId
    content: Content = field(hash=False)
    needs: tuple[StepId, ...] = ()
    """None."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """Take the table that stands under the asset's own name as what the snapshot says; with the view over it. ``rows``,
    ``columns`` (names and types) and ``content`` are what was found there."""

    id: StepId
    provider: str
    asset: AssetName
    snapshot: SnapshotId
    rows: int | None = None
    columns: tuple[tuple[str, str], ...] = ()
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """The way back: an adopted table gets the asset's name again, and isn't managed any more."""

    id: StepId
    provider: str
    asset: AssetName
    snapshot: SnapshotId


@dataclass(frozen=True, slots=True)
class Point:
    """Make one provider show the environment as the resulting tree says (or not at all, where it is dropped)."""

    id: StepId
    provider: str
    environment: EnvironmentName
    """After all builds."""


Step = Build | Refresh | Return | Merge | Adopt | Release | Audits | Point


@dataclass(frozen=True, slots=True)
class Requirement:
    """What the plan read. It may be applied only while this holds, for the assets that it touches."""

    head: CommitId | None
    """The environment's head; None where it didn't exist."""
    source: tuple[EnvironmentName, CommitId] | None = None
    """What is promoted, or what a new environment begins from."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes that an environment shares with the trunk, those that it holds alone, and how many tables there are whose
    size nobody tells."""

    shared: int
    alone: int
    unknown: int = 0

    @property
    def copied(self) -> int:
        """What a copy of all that it shows would hold."""
        return self.shared + self.alone


@dataclass(frozen=True, slots=True)
class Plan:
    """``before`` and ``tree`` are the environment's tree as read and as it will be; ``changes`` lead from one to the
    other."""

    id: PlanId
    action: Action
    environment: EnvironmentName
    requires: Requirement
    before: TreeId
    tree: TreeId
    parents: tuple[CommitId, ...]
    decisions: tuple[Decision, ...]
    steps: tuple[Step, ...]
    total: int
    """Assets in the resulting tree."""
    settings: Environment | None = None
    """The environment's circumstances afterwards (its head aside); None where it is dropped."""
    author: str = ""
    message: str = ""
    restores: CommitId | None = None
    repairs: tuple[AssetName, ...] = ()
    """Assets whose pointer drifted and is set again, changed or not."""
    notes: tuple[str, ...] = field(default=())
    """What the user should know before it runs."""
    now: int = 0
    """The moment that queries take for the present, in seconds since 1970."""
    partial: bool = False
    """What it builds are previews, of a part of the time."""
    same: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Locations, and where the data that belongs there stands already."""
    cost: Cost | None = None
    """Of the environment, or of the one that it begins from, as it is. Told when it is planned, and not stored."""
    failures: tuple[str, ...] = ()
    """Why some of what is due can't be planned; the rest is. Told when it is planned, and not stored."""

    @property
    def builds(self) -> tuple[Build, ...]:
        return tuple(s for s in self.steps if isinstance(s, Build))

    @property
    def refreshes(self) -> tuple[Refresh, ...]:
        return tuple(s for s in self.steps if isinstance(s, Refresh))

    @property
    def returns(self) -> tuple[Return, ...]:
        return tuple(s for s in self.steps if isinstance(s, Return))

    @property
    def merges(self) -> tuple[Merge, ...]:
        return tuple(s for s in self.steps if isinstance(s, Merge))

    @property
    def moving(self) -> tuple[Refresh | Return | Merge, ...]:
        """The steps that move the data of a location on, or back."""
        return (*self.refreshes, *self.returns, *self.merges)

    @property
    def audits(self) -> tuple[Audits, ...]:
        return tuple(s for s in self.steps if isinstance(s, Audits))

    @property
    def adoptions(self) -> tuple[Adopt | Release, ...]:
        """The steps that bring a table under management, or out of it."""
        return tuple(s for s in self.steps if isinstance(s, Adopt | Release))

    @property
    def points(self) -> tuple[Point, ...]:
        return tuple(s for s in self.steps if isinstance(s, Point))

    @property
    def is_empty(self) -> bool:
        """Whether applying it would do nothing at all."""
        return not self.steps

    def tally(self) -> Mapping[Verb, int]:
        """How many assets get which verb; what isn't in ``decisions`` is reused as it is."""
        counts = dict.fromkeys(Verb, 0)
        for decision in self.decisions:
            counts[decision.verb] += 1
        rest = self.total - sum(1 for d in self.decisions if d.after is not None)
        counts[Verb.REUSE] += rest
        return counts
