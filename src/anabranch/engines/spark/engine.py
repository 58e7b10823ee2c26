"""The engine: how it is reached, what it can do, and its sessions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

from anabranch.engines.spark.catalog import Catalog, SessionCatalog, TableCatalog
from anabranch.engines.spark.connect import ConnectTransport
from anabranch.engines.spark.formats import Delta, Format
from anabranch.engines.spark.grammar import SETTINGS
from anabranch.engines.spark.iceberg import Iceberg
from anabranch.engines.spark.remote import RemoteSpark
from anabranch.engines.spark.session import SparkSession
from anabranch.errors import ConfigError
from anabranch.ports.capabilities import Capability, Case, Identifiers, Support
from anabranch.ports.cloning import CloneRules

_SESSION_CATALOG = "spark_catalog"
_HARMLESS = frozenset({"use_ssl", "user_id", "user_agent", "session_id", "grpc_max_message_size"})
"""Options of an address that are no secrets. Whatever else is given is told to nobody."""


class SparkEngine(RemoteSpark):
    """See :class:`anabranch.ports.engine.Engine`."""

    name = "spark"
    clone_rules = CloneRules(outlive_source=False)
    """Who drops a table drops what its clones read."""

    def __init__(
        self,
        url: str,
        *,
        table_format: str = "delta",
        catalog: str | None = None,
        settings: Mapping[str, str] | None = None,
        connections: int = 8,
        patience: float = 60.0,
    ) -> None:
        """``url``: ``sc://host:port/;token=…``. ``table_format``: ``delta`` or ``iceberg``. ``catalog``: where
        relations are; None: the server's current one. ``settings`` are Spark's own. ``connections``: so many statements
        of one session run at a time, where they don't depend on each other. ``patience``: seconds to wait for a server
        that can't be reached."""
        super().__init__(catalog)
        self._host, self._secrets = _address(url)
        if table_format not in ("delta", "iceberg"):
            raise ConfigError(
                f"Spark's tables are delta or iceberg, not {table_format}",
                hint="correct warehouse.settings.table_format",
            )
        self._url = url
        self._format: Format = Iceberg() if table_format == "iceberg" else Delta()
        self._settings = {
            **SETTINGS,
            **(settings or {}),
            # of a table that is made without a word of its format
            "spark.sql.sources.default": table_format,
            "spark.sql.legacy.createHiveTableByDefault": "false",
        }
        self._connections = connections
        self._patience = patience
        self.identifiers = self._identifiers(table_format)
        self.capabilities: Mapping[Capability, Support] = {
            Capability.TRANSACTIONAL_DDL: Support.NEVER,
            Capability.CONCURRENT_STATEMENTS: Support.FULL,
            Capability.CLONE_SCHEMA: Support.NEVER,
            Capability.CLONE_DATABASE: Support.NEVER,
            Capability.SWAP_TABLES: Support.NEVER,
            Capability.SWAP_SCHEMAS: Support.NEVER,
            Capability.MATERIALIZED_VIEWS: Support.NEVER,
            Capability.MERGE: Support.FULL,
            Capability.GRANTS: Support.NEVER,
            Capability.EXACT_HASH: Support.FULL,
            **self._format.capabilities,
        }

    @staticmethod
    def _identifiers(table_format: str) -> Identifiers:
        if table_format == "iceberg":  # a dot parts the levels of a namespace
            return Identifiers(longest=255, case=Case.SENSITIVE, refused=".")
        return Identifiers(longest=128, case=Case.INSENSITIVE, plain=True, plain_schemas=True)

    @property
    def place(self) -> str:
        return f"sc://{self._host}" + (f"/{self._catalog}" if self._catalog else "")

    @contextlib.contextmanager
    def session(self, *, read_only: bool = False, patience: float | None = None) -> Iterator[SparkSession]:
        """One of the server's own, with nothing of what others have set."""
        transport = self._connect(self._patience if patience is None else min(patience, self._patience))
        with self._using(transport) as own:
            catalog: Catalog = SessionCatalog() if own == _SESSION_CATALOG else TableCatalog()
            yield SparkSession(transport, self._format, catalog, own, guarded=read_only)

    def _connect(self, patience: float) -> ConnectTransport:
        return self._at_home(
            ConnectTransport(
                self._url,
                self.place,
                self._settings,
                parallel=self._connections,
                patience=patience,
                secrets=self._secrets,
            )
        )


def _address(url: str) -> tuple[str, tuple[str, ...]]:
    """Host and port, and what no message may show.

    Raises:
        ConfigError: it isn't an address of Spark Connect.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 15002
    except ValueError:
        host, port = None, 0
    if host is None or parts.scheme != "sc" or parts.path.strip("/")[:1] not in ("", ";"):
        raise ConfigError(
            "a Spark server's address is sc://host:port, or sc://host:port/;token=…",
            hint="correct warehouse.database",
        )
    options = [o.partition("=") for o in parts.path.strip("/").split(";")]
    told = {value for name, _, value in options if value and name not in _HARMLESS}
    return f"{host}:{port}", tuple(sorted({*told, *map(unquote, told)}))
