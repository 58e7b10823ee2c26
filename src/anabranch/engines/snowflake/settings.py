"""What is said of an account, as its driver takes it: from a URL and from settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from anabranch.errors import ConfigError

SECRETS = frozenset(
    {
        *("password", "passcode", "token", "private_key", "private_key_passphrase", "private_key_file_pwd"),
        *("oauth_client_secret", "proxy_password", "session_token", "master_token"),
    }
)
SESSION: Mapping[str, object] = {
    "TIMEZONE": "UTC",
    "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
    "QUOTED_IDENTIFIERS_IGNORE_CASE": False,
    "ABORT_DETACHED_QUERY": True,
    "ERROR_ON_NONDETERMINISTIC_MERGE": True,
    "DATE_INPUT_FORMAT": "AUTO",
    "TIME_INPUT_FORMAT": "AUTO",
    "TIMESTAMP_INPUT_FORMAT": "AUTO",
}
"""What statements rely on, whatever is set for the user or the account. A statement whose process has died ends within
five minutes."""
_DEFAULTS: Mapping[str, object] = {"application": "Anabranch", "login_timeout": 60}
_WORDS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Account:
    """Where to log in, and how. ``arguments`` are the driver's; its secrets are shown nowhere."""

    account: str
    database: str
    arguments: Mapping[str, object] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)

    @property
    def place(self) -> str:
        return f"snowflake://{self.account}/{self.database}"


def read_account(url: str = "", settings: Mapping[str, object] | None = None) -> Account:
    """``snowflake://user@account/database?warehouse=…&role=…``, and ``settings``, which go before it: all that the
    driver takes. A ``connection_name`` stands for what the driver's own file says of it.

    Raises:
        ConfigError: the account or the database is missing, or it is no such URL.
    """
    found: dict[str, object] = {**_parsed(url), **{k: v for k, v in (settings or {}).items() if v is not None}}
    for key in ("database",) if "connection_name" in found else ("account", "database"):
        if not found.get(key):
            raise ConfigError(
                f"Snowflake's {key} isn't set", hint="write it as snowflake://user@account/database?warehouse=…&role=…"
            )
    wished = found.pop("session_parameters", None)
    session = {**(wished if isinstance(wished, Mapping) else {}), **SESSION}
    arguments = {
        **_DEFAULTS,
        **found,
        "session_parameters": session,
        "autocommit": True,  # an account may have it off
        "paramstyle": "qmark",  # a % in a statement means nothing
        "arrow_number_to_decimal": True,  # else 0.10 comes as 0.1 in 64 bits
    }
    secrets = (str(found[k]) for k in sorted(SECRETS) if found.get(k))
    account = str(found.get("account") or found["connection_name"])
    return Account(account, str(found["database"]), arguments, tuple(s for s in secrets if s))


def _parsed(url: str) -> dict[str, object]:
    if not url:
        return {}
    try:
        parts = urlsplit(url)
        user, password = parts.username, parts.password
    except ValueError:
        parts = None
    if parts is None or parts.scheme != "snowflake" or not parts.netloc:
        raise ConfigError(
            "the warehouse's URL isn't one of Snowflake", hint="write it as snowflake://user@account/database"
        )
    found: dict[str, object] = {"account": unquote(parts.netloc.rpartition("@")[2])}
    if user:
        found["user"] = unquote(user)
    if password:
        found["password"] = unquote(password)
    for key, part in zip(("database", "schema"), parts.path.strip("/").split("/"), strict=False):
        if part:
            found[key] = unquote(part)
    return {**found, **{key: _typed(value) for key, value in parse_qsl(parts.query)}}


def _typed(value: str) -> object:
    if value.isdecimal():
        return int(value)
    return _WORDS.get(value.lower(), value)
