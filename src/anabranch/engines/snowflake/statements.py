"""Statements of Snowflake that are made of many parts: clones and grants."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from datetime import UTC

from anabranch.engines.common import CommonSession, only
from anabranch.ports.cloning import Cloning, Past
from anabranch.ports.engine import Grant

_RIGHT = re.compile(r"[A-Z]+(?: [A-Z]+)*\Z")
_GRANTEE = re.compile(r"(ROLE|DATABASE ROLE|SHARE|USER) (.+)\Z", re.DOTALL)


def cloning(
    session: CommonSession, kind: str, source: str, clone: str, how: Cloning, is_transient: Callable[[], bool]
) -> str:
    """The statement that clones a TABLE, SCHEMA or DATABASE. ``is_transient``: the source is, and so a clone has to be.

    Raises:
        StatementFailed: Snowflake can't do what ``how`` asks for.
    """
    own = {"keeps_grants"} if kind == "TABLE" else {"skips_unretained"}
    wish = only(how, "at", "replace", *own)
    if wish is not None:
        session.refuse(f"clone a {kind.lower()} with {wish.replace('_', ' ')}")
    past = "" if how.at is None else f"{'BEFORE' if how.at.before else 'AT'} ({_past(session, how.at)})"
    replace, transient = " OR REPLACE" if how.replace else "", " TRANSIENT" if is_transient() else ""
    parts = [f"CREATE{replace}{transient} {kind} {clone} CLONE {source}"]
    if past:
        parts.append(past)
    if how.keeps_grants:
        parts.append("COPY GRANTS")
    if how.skips_unretained:
        parts.append("IGNORE TABLES WITH INSUFFICIENT DATA RETENTION")
    return " ".join(parts)


def _past(session: CommonSession, past: Past) -> str:
    if past.time is not None:
        moment = past.time if past.time.tzinfo is None else past.time.astimezone(UTC)
        return f"TIMESTAMP => '{moment:%Y-%m-%d %H:%M:%S.%f} +00:00'::TIMESTAMP_TZ"
    if past.seconds is not None:
        return f"OFFSET => {-int(past.seconds)}"
    if past.statement is not None:
        return f"STATEMENT => {session.grammar.literal(past.statement)}"
    return session.refuse("go back to a version: say a time, or a statement")


def granting(session: CommonSession, kind: str, name: str, grants: Collection[Grant]) -> Iterator[str]:
    """The statements that grant these rights: one for each grantee."""
    rights: dict[str, list[str]] = {}
    for grant in sorted(grants):
        if not _RIGHT.match(grant.right):
            session.refuse(f"grant {grant.right!r}")
        rights.setdefault(grant.grantee, []).append(grant.right)
    for grantee, granted in rights.items():
        match = _GRANTEE.match(grantee)
        if match is None:
            session.refuse(f"grant rights to {grantee!r}: write it as ROLE name, DATABASE ROLE, SHARE or USER")
        target = f"{match.group(1)} {session.grammar.identifier(match.group(2))}"
        yield f"GRANT {', '.join(granted)} ON {kind} {name} TO {target}"
