"""The engine: how it is reached, what it can do, and its sessions."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anabranch.engines.bigquery.catalog import CLONE_DEPTH
from anabranch.engines.bigquery.errors import LOGIN, errors
from anabranch.engines.bigquery.jobs import REQUEST, Jobs
from anabranch.engines.bigquery.session import BigQuerySession
from anabranch.engines.bigquery.sql import GRAMMAR
from anabranch.errors import ConfigError, StatementFailed, WarehouseUnavailable
from anabranch.ports.capabilities import Capability, Case, Identifiers, Support
from anabranch.ports.cloning import CloneRules

if TYPE_CHECKING:
    from google.cloud import bigquery

CONNECTIONS = 32
"""Statements at a time: one that defines something takes a second or two, and waits most of it."""

_OPTIONS = {"maximum_bytes_billed": int, "priority": str, "job_timeout_ms": int}
_BILLED = "billing_project"
_PLACES = ("credentials", "endpoint", "location")


class BigQueryEngine:
    """See :class:`anabranch.ports.engine.Engine`."""

    name = "bigquery"
    dialect = "bigquery"
    capabilities: Mapping[Capability, Support] = {
        Capability.TRANSACTIONAL_DDL: Support.NEVER,  # its transactions hold DML, and make temporary tables only
        Capability.CONCURRENT_STATEMENTS: Support.FULL,
        Capability.CLONE_TABLE: Support.FULL,
        Capability.CLONE_SCHEMA: Support.NEVER,
        Capability.CLONE_DATABASE: Support.NEVER,
        Capability.TIME_TRAVEL: Support.FULL,  # 7 days back, where the dataset isn't set to fewer
        Capability.SWAP_TABLES: Support.NEVER,
        Capability.SWAP_SCHEMAS: Support.NEVER,
        Capability.MATERIALIZED_VIEWS: Support.PARTLY,  # of some queries only: no outer joins over others, no windows
        Capability.MERGE: Support.FULL,
        Capability.GRANTS: Support.PARTLY,  # roles on tables and views; none with a condition, none on datasets
        Capability.EXACT_HASH: Support.FULL,
    }
    clone_rules = CloneRules(depth=CLONE_DEPTH)
    """So many clones stand on one another at most; a copy of the last begins anew."""
    grammar = GRAMMAR
    identifiers = Identifiers(
        longest=1024, case=Case.SENSITIVE, categories=("L", "M", "N", "Pc", "Pd", "Zs"), plain_schemas=True
    )

    def __init__(
        self,
        project: str,
        *,
        location: str = "US",
        settings: Mapping[str, str] | None = None,
        credentials: Path | None = None,
        endpoint: str | None = None,
        connections: int = CONNECTIONS,
        patience: float = 120.0,
    ) -> None:
        """``location``: where its datasets are. ``settings``: ``maximum_bytes_billed``, ``priority`` and
        ``job_timeout_ms`` of each statement, ``billing_project`` that they are run in, if that is another.
        ``credentials``: a key file; without it, the application default ones. ``endpoint``: the address of another
        service that speaks BigQuery's protocol, which is asked without credentials. ``connections``: statements at a
        time. ``patience``: seconds to go on trying where something passes.

        Raises:
            ConfigError: there is no such setting, or it has no such value.
        """
        self._project = project
        self._location = location
        self._options, self._billed = _read(settings or {}, project)
        self._credentials = credentials
        self._endpoint = endpoint
        self._connections = max(1, connections)
        self._patience = patience
        self._lock = threading.RLock()
        self._jobs: Jobs | None = None
        self._sessions = 0
        """Those that are open."""

    @property
    def place(self) -> str:
        return f"BigQuery project {self._project}"

    def revision(self) -> str | None:
        return None

    def exists(self) -> bool:
        try:
            self._opened()
        except WarehouseUnavailable as error:
            if isinstance(error.__cause__, StatementFailed):
                return False
            raise
        return True

    def size(self) -> int | None:
        return None

    @contextlib.contextmanager
    def session(self, *, read_only: bool = False, patience: float | None = None) -> Iterator[BigQuerySession]:
        """``patience`` is the engine's own: no other process ever holds BigQuery."""
        with self._lock:
            jobs = self._opened()
            self._sessions += 1
        try:
            yield BigQuerySession(
                jobs,
                self._project,
                self.place,
                self._location,
                self.identifiers,
                self._connections,
                read_only=read_only,
            )
        finally:
            with self._lock:
                self._sessions -= 1

    def _opened(self) -> Jobs:
        with self._lock:
            if self._jobs is None:
                client = self._connect()
                jobs = Jobs(client, self.place, self._location, self._options, self._patience)
                try:
                    self._look(jobs)
                except BaseException:
                    client.close()
                    raise
                self._jobs = jobs
            return self._jobs

    def _look(self, jobs: Jobs) -> None:
        """Whether it is there and lets us in: told now, rather than by the first statement."""
        try:
            with errors(self.place):
                list(jobs.client.list_datasets(self._project, max_results=1, retry=jobs.retry, timeout=REQUEST))
        except StatementFailed as failure:
            raise WarehouseUnavailable(
                f"{self.place} can't be opened: {failure.message}",
                hint=failure.hint or "check warehouse.database, and that these credentials may see it",
            ) from failure

    def _connect(self) -> bigquery.Client:
        try:
            from google.auth.transport.requests import AuthorizedSession
            from google.cloud import bigquery
            from requests.adapters import HTTPAdapter
        except ImportError as error:
            raise WarehouseUnavailable(
                f"{self.place} can't be reached without its driver", hint="pip install 'anabranch[bigquery]'"
            ) from error
        with errors(self.place):
            http = AuthorizedSession(self._known(bigquery.Client.SCOPE))
            for scheme in ("https://", "http://"):
                http.mount(scheme, HTTPAdapter(pool_maxsize=self._connections))
            return bigquery.Client(
                self._billed,
                location=self._location,
                client_options={"api_endpoint": self._endpoint} if self._endpoint else None,
                _http=http,
            )

    def _known(self, scopes: tuple[str, ...]) -> Any:
        """The credentials."""
        import google.auth
        from google.auth.credentials import AnonymousCredentials

        if self._endpoint:
            return AnonymousCredentials()
        if self._credentials is None:
            return google.auth.default(scopes=scopes)[0]
        from google.oauth2.credentials import Credentials
        from google.oauth2.service_account import Credentials as ServiceAccount

        try:
            told = json.loads(self._credentials.read_text("utf-8"))
            if told.get("type") == "authorized_user":
                return Credentials.from_authorized_user_info(told, scopes=scopes)
            return ServiceAccount.from_service_account_info(told, scopes=scopes)
        except (OSError, ValueError, AttributeError, google.auth.exceptions.GoogleAuthError) as error:
            # its words may hold a piece of the file
            raise WarehouseUnavailable(
                f"{self._credentials} is no key file that can be read ({type(error).__name__})", hint=LOGIN
            ) from None

    def interrupt(self) -> None:
        jobs = self._jobs  # without the lock, which whoever opens it holds
        if jobs is not None:
            jobs.interrupt()

    def close(self) -> None:
        with self._lock:
            if self._jobs is not None and not self._sessions:
                self._jobs.client.close()
                self._jobs = None


def open_engine(
    project: str, settings: Mapping[str, str], connections: int = CONNECTIONS, patience: float = 120.0
) -> BigQueryEngine:
    """As a project's file says it: ``location``, ``credentials`` and ``endpoint`` are settings there as well.

    Raises:
        ConfigError: there is no such setting, or it has no such value.
    """
    rest = {name: value for name, value in settings.items() if name not in _PLACES}
    credentials = settings.get("credentials")
    return BigQueryEngine(
        project,
        location=settings.get("location", "US"),
        settings=rest,
        credentials=Path(credentials).expanduser() if credentials else None,
        endpoint=settings.get("endpoint"),
        connections=connections,
        patience=patience,
    )


def _read(settings: Mapping[str, str], project: str) -> tuple[dict[str, object], str]:
    """The options of each job, and the project that it is run in."""
    options: dict[str, object] = {}
    for name, value in settings.items():
        if name == _BILLED:
            continue
        if name not in _OPTIONS:
            raise ConfigError(
                f"BigQuery has no setting {name!r}",
                hint=f"there are {', '.join(sorted([*_OPTIONS, _BILLED, *_PLACES]))}",
            )
        try:
            options[name] = _OPTIONS[name](value)
        except ValueError as error:
            raise ConfigError(f"the setting {name} of BigQuery is a number, not {value!r}") from error
    return options, settings.get(_BILLED, project)
