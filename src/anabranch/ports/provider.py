"""Kinds of asset, each obeying one protocol: observe, build, show.

A provider makes snapshots physical and shows environments to readers. What an environment shows is recorded *where the
data is*, together with the change itself, so that after a crash the provider knows where it stands.

Showing is a two-phase step. ``prepare`` does all that can fail without being seen by readers; then the app publishes
the environment's ref; then ``commit`` makes it visible. A provider whose engine has no transactions does everything in
``commit`` and says so in :attr:`Provider.window`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from anabranch.domain.audit import Audit, Finding
from anabranch.domain.content import Content, Generation
from anabranch.domain.ids import CommitId, TreeId
from anabranch.domain.intervals import Spans
from anabranch.domain.journal import Outcome
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.snapshot import Snapshot
from anabranch.ports.cloning import Held
from anabranch.ports.rows import RowDiff, RowOptions


@dataclass(frozen=True, slots=True)
class Built:
    """What a build has made. ``columns``: ``(name, type)`` in order. ``definition``: of a view, as the engine tells
    it."""

    rows: int | None = None
    columns: tuple[tuple[str, str], ...] = ()
    definition: str = ""
    seconds: float = 0.0
    content: Content | None = None
    """Of a model with intervals or a history: what the first build holds."""
    token: str = ""
    """Of a clone: tells its content, as :meth:`Clones.tokens` does."""
    base: str = ""
    """Of a clone: the like of its source at that moment; empty where it can't be told."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a provider recorded of an environment: the state that its readers see."""

    commit: CommitId
    tree: TreeId


@dataclass(frozen=True, slots=True)
class Move:
    """What shall be shown from now on (None: the environment vanishes), and the assets that differ: before and
    after."""

    shown: Shown | None
    entries: Mapping[AssetName, tuple[Snapshot | None, Snapshot | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Work:
    """What a build or a refresh shall compute. ``spans``: of a model with intervals, what to fill; ``now``: the moment
    that the query takes for the present, in seconds since 1970."""

    spans: Spans = ()
    now: int = 0
    resume: bool = False
    """What stands there is the beginning of this very build: it is gone on with."""
    partial: bool = False
    """A preview, of a part of what the model should hold."""
    previous: Snapshot | None = None
    """The version that it takes the place of; what a history, or a forward-only change, carries over comes from
    there."""
    anew: Spans = ()
    """Of what is carried over, what is computed again."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A generation that was computed beside its table and isn't seen yet. ``number``: its number to be."""

    snapshot: Snapshot
    number: int
    generation: Generation
    built: Built


@dataclass(frozen=True, slots=True)
class Swap:
    """``content``: what a location shall hold, with the generation that is to be current, and all that lead there.
    ``built``: what stands there then, where it was just computed."""

    snapshot: Snapshot
    content: Content
    built: Built | None = None
    audited: tuple[str, ...] = ()
    """What was found right about it: :func:`anabranch.domain.audit.audited_key`."""
    clone: tuple[Snapshot, Built] | None = None
    """What is merged into a source, and what was found of it when it was made."""
    is_new: bool = False
    """It was planned just now: refused where somebody else wrote to the source since. Else it is to be, come what
    may."""


@dataclass(frozen=True, slots=True)
class Over:
    """What audits look at. ``staged``: generations that aren't swapped in yet; of the audited model, its new rows
    alone, of the others, what they will be. ``work``: the spans and the moment that queries name."""

    staged: Mapping[AssetName, Staged] = field(default_factory=dict)
    work: Work = field(default_factory=Work)


class Standing(StrEnum):
    """What stands under an asset's own name, and isn't Anabranch's."""

    TABLE = "table"
    VIEW = "view"


@dataclass(frozen=True, slots=True)
class Takeover:
    """A table that somebody else made gets its snapshot's location (``back``: its asset's own name again). ``built``:
    what was found there when it was planned; without columns: whatever is there."""

    snapshot: Snapshot
    built: Built = Built()
    back: bool = False


Decide = Callable[[Shown | None], Move]
"""Given what is shown, what shall be. Called while others are kept out; of a provider with a :attr:`Provider.window`,
whoever moves an environment keeps them out, and it may be called twice."""


class Prepared(Protocol):
    """Work that is done but not seen yet. Leaving its context without ``commit`` takes it back."""

    @property
    def moved(self) -> int:
        """How many assets point anew."""
        ...

    def commit(self) -> None:
        """Makes it visible, at once where the engine can."""
        ...


class Fault(StrEnum):
    """How the world differs from the record."""

    MISSING = "missing"
    ALTERED = "altered"
    REPOINTED = "repointed"
    """A pointer that leads elsewhere or was replaced by something else."""
    UNPOINTED = "unpointed"
    """A pointer that is gone."""
    BEHIND = "behind"
    """The environment as a whole shows another state than its ref (an interrupted promotion)."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference. ``asset`` is None where it concerns the environment as a whole."""

    fault: Fault
    asset: AssetName | None
    detail: str

    @property
    def is_physical(self) -> bool:
        """Whether the snapshot must be built again, not just pointed to again."""
        return self.fault in (Fault.MISSING, Fault.ALTERED)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What should be seen of an environment."""

    environment: EnvironmentName
    shown: Shown
    snapshots: Mapping[AssetName, Snapshot]
    built: Mapping[str, Built]
    """By location."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query returned. ``more``: there were more rows than asked for."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    more: bool = False


NO_WORK = Work()


class Provider(Protocol):
    """One kind of asset. Thread-safe: builds of different snapshots may run at the same time."""

    @property
    def name(self) -> str: ...

    @property
    def workers(self) -> int:
        """How many builds may run at once."""
        ...

    @property
    def window(self) -> str | None:
        """Where readers can see a mix of old and new while an environment moves, a phrase that says so; else None."""
        ...

    def tag(self, about: Mapping[str, str]) -> None:
        """What is done from now on is about (the environment, the plan), for the logs of whoever does it."""
        ...

    def check(self, environment: EnvironmentName, added: Mapping[AssetName, Snapshot]) -> None:
        """Before a plan with ``added`` (new in the environment, or changed sources) is made: that the sources exist,
        and that what stands where the new ones will be shown isn't somebody else's.

        Raises:
            ModelError: a source isn't there or lacks a declared column.
            Refused: a place is taken.
            WarehouseBusy: it can't be looked at just now, and isn't waited for.
        """
        ...

    def opened(self) -> AbstractContextManager[None]:
        """Holds what building and dropping need, so that no claim is made by somebody who then has to wait for it: of
        two processes that want a database which admits only one, the second waits here.

        Raises:
            WarehouseBusy: it waited in vain.
        """
        ...

    def build(self, snapshot: Snapshot, inputs: Mapping[AssetName, Snapshot], work: Work = NO_WORK) -> Built:
        """Makes ``snapshot`` at its location, wholly or not at all. ``inputs``: its upstreams, and theirs through
        embedded models. What already stands there is replaced, or gone on with (``work.resume``).

        Raises:
            AnabranchError: it could not; nothing is left at the location.
        """
        ...

    def same(self, one: Snapshot, other: Snapshot) -> bool:
        """Whether two versions of an asset hold the same rows in the same columns, as a hash tells that is computed
        where they are. False where it can't be told."""
        ...

    def probe(self, snapshot: Snapshot) -> Built | Outcome:
        """What stands at the snapshot's location: a whole build, or ``NOT_APPLIED``; ``UNKNOWN`` where it can't
        tell."""
        ...

    def prepare(
        self,
        environment: EnvironmentName,
        decide: Decide,
        swaps: Collection[Swap] = (),
        takeovers: Collection[Takeover] = (),
    ) -> AbstractContextManager[Prepared]:
        """See the module's text. ``swaps`` and ``takeovers`` become visible with the rest; one that was made already is
        passed over.

        Raises:
            Refused: a table that is to be taken over isn't what was found there, or can't be renamed.
        """
        ...

    def observe(self, expectation: Expectation) -> list[Drift]:
        """How the environment differs from what is expected, cheaply: by catalog, not by content."""
        ...

    def locations(self) -> set[str]:
        """All locations of snapshots that exist physically, whoever made them."""
        ...

    def drop(self, locations: Collection[str]) -> None:
        """Drops what stands at ``locations``."""
        ...

    def interrupt(self) -> None:
        """Stops the builds that run in this process; they raise."""
        ...

    def revision(self) -> str | None:
        """As :meth:`anabranch.ports.engine.Engine.revision`."""
        ...

    def close(self) -> None: ...


class Refreshes(Provider, Protocol):
    """A provider whose data moves on: generations are computed beside what readers see, then swapped in."""

    def stage(
        self,
        snapshot: Snapshot,
        content: Content,
        inputs: Mapping[AssetName, Snapshot],
        staged: Mapping[AssetName, Staged],
        work: Work,
    ) -> Staged:
        """Computes the next generation of ``content`` beside it. Of ``inputs``, those in ``staged`` are read as they
        will be. What an earlier attempt left is replaced.

        Raises:
            AnabranchError: it could not; nothing is left.
        """
        ...

    def contents(self, locations: Collection[str]) -> dict[str, Content]:
        """What is recorded beside the data, of those that there is a record of."""
        ...

    def discard(self, keep: Mapping[str, Collection[int]]) -> None:
        """Drops what generations left beside locations, but for those whose numbers are to be kept."""
        ...


class Audited(Provider, Protocol):
    """A provider whose assets have rows that can be audited."""

    def audit(
        self, snapshot: Snapshot, inputs: Mapping[AssetName, Snapshot], audits: Sequence[Audit], over: Over
    ) -> list[Finding]:
        """What each of ``audits`` finds in the rows of ``snapshot``: all of them, or those just computed (``over``).
        ``inputs``: what the audits read besides, through embedded models (and views), and of a view what it reads.

        Raises:
            AnabranchError: one of them couldn't be run.
        """
        ...


class Adopts(Provider, Protocol):
    """A provider that can take tables over which somebody else made, as they stand."""

    def standing(self, assets: Collection[AssetName]) -> dict[AssetName, Standing]:
        """Under which of these names something stands that isn't Anabranch's."""
        ...

    def survey(
        self, snapshot: Snapshot, inputs: Mapping[AssetName, Snapshot], now: int, *, check: bool = True
    ) -> tuple[Built, tuple[str, ...]]:
        """Looks at the table under the asset's name as at a build of ``snapshot``: its rows, its columns, and what it
        holds at ``now`` (seconds since 1970); and what people should know of it. Its rows aren't compared with what
        the query gives.

        Args:
            inputs: what the snapshot reads, as it stands now.
            check: whether keys must be unique that are declared as such.

        Raises:
            Refused: there is no such table, its columns aren't those of the query, a key stands for two rows, or
                it can't be renamed.
        """
        ...


class Tables(Provider, Protocol):
    """A provider whose assets are tables that can be queried."""

    @property
    def place(self) -> str:
        """Where they are, for people."""
        ...

    def size(self) -> int | None:
        """All bytes, where that is cheap to know."""
        ...

    def sizes(self, snapshots: Collection[Snapshot]) -> dict[str, Held]:
        """By location, the bytes of tables, clones and sources, of those of which the engine's metadata tells it.

        Raises:
            WarehouseBusy: it can't be looked at just now, and isn't waited for.
        """
        ...

    def query(self, text: str, assets: Mapping[AssetName, Snapshot], limit: int | None) -> Answer:
        """Runs a query in which logical names stand for ``assets``. It can't write.

        Raises:
            Refused: it isn't a query.
            ModelError: it doesn't parse, or reads something unknown.
        """
        ...

    def execute(self, environment: EnvironmentName, statements: Iterable[str]) -> None:
        """Runs statements of the user's as they stand, one after another in one session, each by itself; in them
        ``@this_env`` is the environment's name, as a text. Ends with the first that fails, of which no more is taken.

        Raises:
            StatementFailed: with the engine's message.
        """
        ...

    def compare(self, before: Snapshot, after: Snapshot, options: RowOptions) -> RowDiff:
        """How the rows of two versions differ, computed where they are.

        Raises:
            Refused: ``options.where`` is no condition.
            SqlSyntaxError: it doesn't parse.
            ModelError: it doesn't fit.
            StatementFailed: one of the two is gone.
        """
        ...
