"""Errors of Spark and Databricks as Anabranch's: which are the statement's, and which the connection's."""

from __future__ import annotations

import re
from collections.abc import Collection

from anabranch.errors import StatementFailed, WarehouseError, WarehouseUnavailable

MISSING = frozenset({"TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND", "VIEW_NOT_FOUND", "NoSuchNamespaceException"})
"""Kinds that say that a relation, or its schema, isn't there."""

_NO_SCHEMA = frozenset({"SCHEMA_NOT_FOUND", "NoSuchNamespaceException"})
_CONFLICTS = (
    "DELTA_CONCURRENT_",
    "DELTA_METADATA_CHANGED",
    "DELTA_PROTOCOL_CHANGED",
    "CommitFailedException",
)
"""Beginnings of kinds: a commit that wasn't made, for another one came before it."""
_LOST = ("INVALID_HANDLE.", "NO_ACTIVE_SESSION", "INVALID_CURSOR.")
_CANCELED = "OPERATION_CANCELED"
_PRIVILEGES = ("INSUFFICIENT_PERMISSIONS", "PERMISSION_DENIED", "UNAUTHORIZED_ACCESS", "INSUFFICIENT_PRIVILEGES")
_QUOTAS = ("QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED", "RESOURCE_LIMIT_EXCEEDED", "REQUEST_LIMIT_EXCEEDED")
_CONDITION = re.compile(r"\[([A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)*)\]")
_CLASS = re.compile(r"\s*\((?:[\w$]+\.)+([\w$]+)\)\s*")


def told(
    text: str, kind: str, place: str, *, status: str = "", fallback: str = "", secrets: Collection[str] = ()
) -> WarehouseError:
    """What is raised for an error that says ``text``. ``kind``: Spark's own condition, where the driver tells it;
    ``status``: what the transport says, in gRPC's words; ``fallback``: the driver's class."""
    message = clean(text, secrets)
    found = _CONDITION.search(message)
    named = _CLASS.match(message)
    kind = kind or (found.group(1) if found else named.group(1) if named else "") or status or fallback
    first = message.splitlines()[0] if message else kind
    if status == "UNAUTHENTICATED":
        return WarehouseUnavailable(
            f"{place} doesn't take these credentials: {first}",
            hint="the token is wrong or has expired: make a new one, and put it into the warehouse's settings",
        )
    if status in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
        return WarehouseUnavailable(
            f"{place} can't be reached: {_cause(message)}",
            hint="see that the server runs and that its address is right, then run the command again",
        )
    if kind.startswith(_LOST):
        return WarehouseUnavailable(
            f"the connection to {place} was lost: {first}",
            hint="run the command again; what was under way is looked up first",
        )
    if "No space left on device" in message:
        return WarehouseUnavailable(f"no space left for {place}: {first}", hint="make room, then run it again")
    return StatementFailed(message or kind, kind=kind, hint=_hint(kind, status, message))


def _hint(kind: str, status: str, message: str) -> str | None:
    if kind.startswith(_PRIVILEGES) or status == "PERMISSION_DENIED" or "INSUFFICIENT_PERMISSIONS" in message:
        return "a privilege is missing: have the owner of the catalog or schema grant it to this user"
    if kind.startswith(_QUOTAS) or status == "RESOURCE_EXHAUSTED":
        return "a limit of the warehouse is reached: wait, or have it raised"
    return None


def clean(text: str, secrets: Collection[str] = ()) -> str:
    """An error's text without the server's stack, and without ``secrets``."""
    message = text.split("\n\nJVM stacktrace:", maxsplit=1)[0].strip()
    for secret in secrets:
        message = message.replace(secret, "***") if secret else message
    return message


def _cause(message: str) -> str:
    """Of what gRPC tells, the sentence that a person can read."""
    found = re.search(r'details = "(.*?)"\s*$', message, re.MULTILINE)
    return (found.group(1) if found else message.splitlines()[0] if message else "no answer").strip()


def is_lost(error: WarehouseError) -> bool:
    """Whether the connection that it was raised on is of no use any more."""
    return isinstance(error, WarehouseUnavailable)


def is_missing(error: StatementFailed) -> bool:
    """Whether a relation isn't there, or is a view that leads nowhere."""
    return error.kind in MISSING or error.kind.startswith(("DELTA_TABLE_NOT_FOUND", "DELTA_PATH_DOES_NOT_EXIST"))


def has_no_schema(error: StatementFailed) -> bool:
    """Whether it is the schema that isn't there."""
    return error.kind in _NO_SCHEMA


def is_conflict(error: Exception) -> bool:
    """Whether a statement did nothing, for another one changed the table meanwhile: it can be run again."""
    if not isinstance(error, StatementFailed):
        return False
    of_iceberg = error.kind == "ValidationException" and "Found conflicting" in error.message
    return of_iceberg or error.kind.startswith(_CONFLICTS)


def is_outpaced(error: Exception) -> bool:
    """Whether a relation was replaced or dropped after a query had found it: Iceberg's files of metadata go with what
    they tell of. The query can be run again."""
    is_file = isinstance(error, StatementFailed) and error.kind == "NotFoundException"
    return is_file and ".metadata.json" in str(error)


def is_stopped(error: StatementFailed) -> bool:
    """Whether somebody stopped the statement."""
    return error.kind == _CANCELED
