"""ClickHouse's errors as Anabranch's, in plain words where people can do something about them."""

from __future__ import annotations

import re

from anabranch.errors import StatementFailed, WarehouseBusy, WarehouseError, WarehouseUnavailable

_TOLD = re.compile(r"Code:\s*(\d+)\.\s*(?:DB::)?Exception:?\s*(.*)", re.DOTALL)
_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)\s*(?:\(version [^)]*(?:\([^)]*\))?[^)]*\))?\s*\Z")
_VERSION = re.compile(r"\s*\(version \d[^()]*(?:\([^()]*\))?\)")
_SIGN_IN = {"AUTHENTICATION_FAILED", "WRONG_PASSWORD", "UNKNOWN_USER", "REQUIRED_PASSWORD", "USER_EXPIRED"}
_FULL = {"NOT_ENOUGH_SPACE", "CANNOT_WRITE_TO_FILE_DESCRIPTOR"}
_CROWDED = {"TOO_MANY_SIMULTANEOUS_QUERIES"}
_LOST = {"NETWORK_ERROR", "SOCKET_TIMEOUT", "ALL_CONNECTION_TRIES_FAILED"}
_HINTS = {
    "ACCESS_DENIED": "have somebody GRANT what the message names, to this user or to one of its roles",
    "READONLY": "this user may only read: give it a settings profile with readonly = 0",
    "QUOTA_EXCEEDED": "wait until the quota's interval is over, or have somebody raise it",
    "MEMORY_LIMIT_EXCEEDED": "raise max_memory_usage in warehouse.settings, or have the query hold less at a time",
    "TIMEOUT_EXCEEDED": "raise max_execution_time in warehouse.settings",
    "UNKNOWN_SETTING": "check warehouse.settings in anabranch.yaml",
}
_LONGEST = 2000


def told(text: str, place: str) -> WarehouseError:
    """What ClickHouse says, as an error of ours."""
    match = _TOLD.search(text)
    said = _VERSION.sub("", match.group(2) if match else text).strip()
    found = _NAME.search(said)
    kind = found.group(1) if found else f"Code {match.group(1)}" if match else "ClickHouseError"
    message = (said[: found.start()].rstrip() if found else said)[:_LONGEST] or kind
    if kind in _SIGN_IN:
        return WarehouseUnavailable(
            f"{place} doesn't let this user in", hint="check user and password in warehouse.database"
        )
    if kind in _FULL or "No space left" in message:
        return WarehouseUnavailable(
            f"no space left for {place}: {message}",
            hint="make room (anabranch gc drops what nobody reads), then run it again",
        )
    if kind in _CROWDED:
        return WarehouseBusy(f"{place} runs as many queries as it may", hint="wait, then run the command again")
    if kind in _LOST:
        return WarehouseUnavailable(f"{place} can't be reached: {message}", hint="check that it runs, then try again")
    return StatementFailed(message, kind=kind, hint=_HINTS.get(kind))


def decoded(error: BaseException) -> str:
    """An error's text, though a value in it isn't UTF-8."""
    if isinstance(error, UnicodeDecodeError):
        return bytes(error.object).decode(errors="replace")
    return str(error)
