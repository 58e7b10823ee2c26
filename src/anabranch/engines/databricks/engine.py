"""The engine: how it is reached, what it can do, and its sessions."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator, Mapping
from urllib.parse import quote

from anabranch.engines.databricks.catalog import UnityCatalog
from anabranch.engines.databricks.sql import WarehouseTransport
from anabranch.engines.spark.catalog import Catalog, SessionCatalog
from anabranch.engines.spark.connect import ConnectTransport, Transport
from anabranch.engines.spark.formats import Delta
from anabranch.engines.spark.grammar import SETTINGS
from anabranch.engines.spark.remote import RemoteSpark
from anabranch.engines.spark.session import SparkSession
from anabranch.errors import ConfigError, StatementFailed
from anabranch.ports.capabilities import Capability, Case, Identifiers, Support
from anabranch.ports.cloning import CloneRules
from anabranch.ports.engine import Grant, Relation

_HIVE = frozenset({"hive_metastore", "spark_catalog"})
_RIGHT = re.compile(r"[A-Z]+( [A-Z]+)*\Z")
_OWNERS = frozenset({"OWN", "OWNERSHIP"})


class DatabricksSession(SparkSession):
    """See :class:`anabranch.ports.engine.Session`."""

    engine_name = "Databricks"

    def grants(self, relations: Collection[Relation]) -> dict[Relation, tuple[Grant, ...]]:
        there = {s: self.kinds(s) for s in {r.schema for r in relations}}
        known = [r for r in sorted(relations) if r.name.lower() in there[r.schema]]
        return dict(zip(known, self.each(self._granted, known), strict=True))

    def _granted(self, relation: Relation) -> tuple[Grant, ...]:
        found = self.query(f"SHOW GRANTS ON TABLE {self.named(relation)}")
        told = [dict(zip((c.lower() for c in found.columns), r, strict=True)) for r in found.rows]
        # those that a schema or catalog passes on aren't the relation's own
        own = [t for t in told if str(t["objecttype"]).upper() in ("TABLE", "VIEW")]
        rights = {Grant(str(t["actiontype"]).upper(), str(t["principal"])) for t in own}
        return tuple(sorted(g for g in rights if g.right not in _OWNERS))

    def grant(self, relation: Relation, grants: Collection[Grant]) -> None:
        for each in sorted(grants):
            if not _RIGHT.match(each.right):
                raise StatementFailed(f"{each.right!r} isn't a privilege", kind="InvalidGrant")
            to = self.grammar.identifier(each.grantee)
            self.execute(f"GRANT {each.right} ON TABLE {self.named(relation)} TO {to}")


class DatabricksEngine(RemoteSpark):
    """See :class:`anabranch.ports.engine.Engine`."""

    name = "databricks"
    dialect = "databricks"
    clone_rules = CloneRules(depth=1, outlive_source=False)
    """Unity Catalog makes no shallow clone of a shallow clone."""
    identifiers = Identifiers(longest=255, case=Case.INSENSITIVE, refused="./ " + "".join(map(chr, (*range(32), 127))))
    capabilities: Mapping[Capability, Support] = {
        Capability.TRANSACTIONAL_DDL: Support.NEVER,
        Capability.CONCURRENT_STATEMENTS: Support.FULL,
        # the statements are checked, and those that open-source Delta takes too are run on it; no workspace was asked
        Capability.CLONE_TABLE: Support.PARTLY,
        Capability.CLONE_SCHEMA: Support.NEVER,
        Capability.CLONE_DATABASE: Support.NEVER,
        Capability.TIME_TRAVEL: Support.PARTLY,
        Capability.SWAP_TABLES: Support.NEVER,
        Capability.SWAP_SCHEMAS: Support.NEVER,
        Capability.MATERIALIZED_VIEWS: Support.NOT_YET,
        Capability.MERGE: Support.FULL,
        Capability.GRANTS: Support.PARTLY,
        Capability.EXACT_HASH: Support.FULL,
    }

    def __init__(
        self,
        host: str,
        *,
        http_path: str | None = None,
        cluster: str | None = None,
        token: str | None = None,
        catalog: str | None = None,
        volume: str | None = None,
        settings: Mapping[str, str] | None = None,
        connections: int = 8,
        patience: float = 300.0,
    ) -> None:
        """``host``: the workspace's. ``http_path`` is of a SQL warehouse; a ``cluster``, by its id, is reached by Spark
        Connect instead. Without a ``token`` the connector signs in as it is set up to. ``volume``: a folder below
        ``/Volumes`` that rows go through on their way to a SQL warehouse. ``settings`` are the session's own.
        ``connections``: so many statements of one session run at a time on a cluster. ``patience``: seconds to wait for
        what can't be reached, or is starting."""
        super().__init__(catalog)
        self._host = host.removeprefix("https://").strip("/")
        if (http_path is None) == (cluster is None):
            raise ConfigError(
                "Databricks is reached by a SQL warehouse or by a cluster",
                hint="give warehouse.settings.http_path or warehouse.settings.cluster: one of both",
            )
        if cluster is not None and token is None:
            raise ConfigError("a cluster is reached with a token", hint='give warehouse.settings.token: "${TOKEN}"')
        if not re.fullmatch(r"[A-Za-z0-9.-]+(:\d+)?", self._host):
            raise ConfigError("a workspace's address is a host's name", hint="correct warehouse.database")
        self._http_path = http_path
        self._cluster = cluster
        self._token = token
        self._volume = volume
        self._settings = dict(settings or {})
        self._connections = connections
        self._patience = patience

    @property
    def place(self) -> str:
        return f"databricks://{self._host}" + (f"/{self._catalog}" if self._catalog else "")

    @contextlib.contextmanager
    def session(self, *, read_only: bool = False, patience: float | None = None) -> Iterator[DatabricksSession]:
        transport = self._connect(self._patience if patience is None else min(patience, self._patience))
        with self._using(transport) as own:
            catalog: Catalog = SessionCatalog() if own in _HIVE else UnityCatalog()
            yield DatabricksSession(transport, Delta(is_databricks=True), catalog, own, guarded=read_only)

    def _connect(self, patience: float) -> Transport:
        if self._cluster is None:
            return WarehouseTransport(
                self.place, self._arguments(patience), volume=self._volume, secrets=[self._token] if self._token else []
            )
        token = self._token or ""
        options = f"use_ssl=true;token={quote(token, safe='')};x-databricks-cluster-id={quote(self._cluster, safe='')}"
        transport = ConnectTransport(
            f"sc://{self._host}{'' if ':' in self._host else ':443'}/;{options}",
            self.place,
            {**SETTINGS, **self._settings},
            parallel=self._connections,
            patience=patience,
            secrets=[token, quote(token, safe="")],
        )
        return self._at_home(transport)

    def _arguments(self, patience: float) -> dict[str, object]:
        """Of ``databricks.sql.connect``."""
        return {
            "server_hostname": self._host,
            "http_path": self._http_path,
            "session_configuration": {"ansi_mode": "true", "timezone": "UTC", **self._settings},
            "user_agent_entry": "anabranch",
            "enable_telemetry": False,
            "_retry_stop_after_attempts_duration": patience,
            **({"access_token": self._token} if self._token else {}),
            **({"catalog": self._catalog} if self._catalog else {}),
        }
