"""The address of a state in Postgres: taken apart, and shown without its secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qsl, quote, quote_plus, unquote, urlencode, urlsplit

from anabranch.errors import ConfigError

DEFAULT_SCHEMA = "anabranch_state"
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}\Z")
_HOSTS = re.compile(r"[A-Za-z0-9._,:%\[\]-]*\Z")
_SECRET = ("password", "sslpassword")
ADDRESS_HINT = (
    "write it as postgresql://user@host:5432/database, with special characters in percent-encoding (@ is %40)"
)


class Address:
    """Where the database is. ``url`` is for the driver alone; what people see is ``place``."""

    __slots__ = ("_secrets", "place", "schema", "url")

    def __init__(self, url: str, schema: str | None = None) -> None:
        parts = _split(url)
        options = _options(parts)
        asked = options.pop("schema", DEFAULT_SCHEMA)
        self.schema = asked if schema is None else schema
        if not _SCHEMA.match(self.schema):
            raise ConfigError(
                f"{self.schema!r} can't be the schema of the state",
                hint="use lower-case letters, digits and underscores, at most 63 of them",
            )
        query = f"?{urlencode(options, quote_via=quote)}" if options else ""
        self.url = f"postgresql://{parts.netloc}{parts.path}{query}"
        login, _, hosts = parts.netloc.rpartition("@")
        user, _, password = login.partition(":")
        shown = f"postgresql://{user}@" if user else "postgresql://"
        shown += (hosts or options.get("host", "")) + (parts.path or "/")
        self.place = shown if self.schema == DEFAULT_SCHEMA else f"{shown}?schema={self.schema}"
        secrets = {password, *(options.get(name, "") for name in _SECRET)} - {""}
        plain = {form for secret in secrets for form in (secret, unquote(secret))}
        forms = {form for s in plain for form in (s, quote(s), quote(s, safe=""), quote_plus(s))}
        self._secrets = sorted(forms, key=len, reverse=True)

    def __repr__(self) -> str:
        return f"Address({self.place!r})"

    def redact(self, text: str) -> str:
        """``text`` with every spelling of the secrets taken out, in one line."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def _split(url: str) -> SplitResult:
    """A password with ``/``, ``?`` or ``#`` in it splits a URL in the wrong place, and would then show up as a host or
    a database: anything odd is refused, without being repeated."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    hosts = parts.netloc.rpartition("@")[2]
    odd = parts.scheme not in ("postgresql", "postgres") or parts.fragment or "@" in parts.path
    odd = odd or parts.netloc.count("@") > 1 or ("@" in parts.query and "@" not in parts.netloc)
    if odd or not _HOSTS.match(hosts) or not all(_is_host(host) for host in hosts.split(",")):
        raise ConfigError("the address of the state is not one of a Postgres database", hint=ADDRESS_HINT)
    return parts


def _is_host(host: str) -> bool:
    _, colon, port = host.rpartition("]")[2].partition(":")
    return not colon or not port or port.isdigit()


def _options(parts: SplitResult) -> dict[str, str]:
    try:
        return dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise ConfigError("the options after ? in the address of the state can't be read", hint=ADDRESS_HINT) from None


def with_defaults(given: Mapping[str, object]) -> dict[str, object]:
    """The driver's parameters: a server that is gone is noticed within a minute, unless the address says otherwise."""
    defaults: dict[str, object] = {
        "application_name": "anabranch",
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }
    return {**defaults, **given, "client_encoding": "utf8"}
