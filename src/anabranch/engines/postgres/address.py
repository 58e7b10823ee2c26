"""Where a Postgres database is: taken apart without the driver, and shown without its secrets."""

from __future__ import annotations

import os
import re
from urllib.parse import SplitResult, parse_qsl, quote, quote_plus, unquote, urlsplit

from anabranch.errors import ConfigError

_SCHEMES = ("postgresql", "postgres")
_HOSTS = re.compile(r"[A-Za-z0-9._,:%\[\]-]*\Z")
_SECRET = ("password", "sslpassword")
HINT = (
    "write warehouse.database as postgresql://user@host:5432/database, with special characters in percent-encoding (@ "
    "is %40); a password is better kept in PGPASSWORD or in ~/.pgpass"
)


class Address:
    """``url`` is for the driver alone; what people see is ``place``. ``database``: its name, None where the driver
    finds it elsewhere (PGDATABASE, the user's name)."""

    __slots__ = ("_secrets", "database", "place", "url")

    def __init__(self, url: str) -> None:
        """Raises ``ConfigError``, which repeats nothing of a URL that can't be taken apart."""
        parts = _split(url)
        try:
            options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        except ValueError:
            raise ConfigError("the options after ? in warehouse.database can't be read", hint=HINT) from None
        self.url = url
        self.database: str | None = options.get("dbname") or unquote(parts.path.removeprefix("/")) or None
        login, _, hosts = parts.netloc.rpartition("@")
        user, _, password = login.partition(":")
        where = hosts or options.get("host", "")
        self.place = f"postgresql://{f'{user}@' if user else ''}{where}/{self.database or ''}"
        self._secrets = _spellings({password, os.environ.get("PGPASSWORD", ""), *(options.get(o, "") for o in _SECRET)})

    def __repr__(self) -> str:
        return f"Address({self.place!r})"

    def redact(self, text: str) -> str:
        """``text`` with every spelling of the secrets taken out, in one line."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def _split(url: str) -> SplitResult:
    """A password with ``/``, ``?`` or ``#`` in it splits a URL in the wrong place, and would then show up as a host or
    as a database: anything odd is refused."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    hosts = parts.netloc.rpartition("@")[2]
    odd = parts.scheme not in _SCHEMES or parts.fragment or "@" in parts.path
    odd = odd or parts.netloc.count("@") > 1 or ("@" in parts.query and "@" not in parts.netloc)
    if odd or not _HOSTS.match(hosts) or not all(map(_is_host, hosts.split(","))):
        raise ConfigError("warehouse.database is not the address of a Postgres database", hint=HINT)
    return parts


def _is_host(host: str) -> bool:
    port = host.rpartition("]")[2].partition(":")[2]
    return not port or port.isdigit()


def _spellings(secrets: set[str]) -> list[str]:
    """All forms that ``secrets`` may have in a text, the longest first."""
    plain = {form for secret in secrets - {""} for form in (secret, unquote(secret))}
    return sorted({f for s in plain for f in (s, quote(s), quote(s, safe=""), quote_plus(s))}, key=len, reverse=True)
