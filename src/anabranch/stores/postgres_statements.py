"""What a state in Postgres says to the server, and the numbers of its locks."""

from __future__ import annotations

import hashlib

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
SETTINGS = """
SELECT set_config('lock_timeout', %s, true),
       set_config('idle_in_transaction_session_timeout', %s, true),
       set_config('synchronous_commit', CASE WHEN NOT %s THEN 'off'
           WHEN current_setting('synchronous_commit') = 'off' THEN 'on'
           ELSE current_setting('synchronous_commit') END, true)
"""
LOCK_STORE = "SELECT pg_advisory_xact_lock(%s)"
SHARE_STORE = "SELECT pg_advisory_xact_lock_shared(%s)"
LOCK_KEYS = "SELECT pg_advisory_xact_lock(number) FROM unnest(%s::bigint[]) AS number"
READ = "SELECT key, value FROM {schema}.cells WHERE key = ANY (%s::text[])"
SWAP = """
WITH current AS (
    SELECT version, written_by FROM {schema}.about
), fit AS (
    SELECT (SELECT version FROM current) <= %(version)s AND NOT EXISTS (
        SELECT FROM unnest(%(expected)s::text[], %(values)b::bytea[]) AS e (key, value)
        WHERE (SELECT c.value FROM {schema}.cells AS c WHERE c.key = e.key) IS DISTINCT FROM e.value
    ) AS ok
), gone AS (
    DELETE FROM {schema}.cells WHERE key = ANY (%(gone)s::text[]) AND (SELECT ok FROM fit)
), kept AS (
    INSERT INTO {schema}.cells (key, value)
    SELECT key, value FROM unnest(%(kept)s::text[], %(bodies)b::bytea[]) AS w (key, value) WHERE (SELECT ok FROM fit)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value
)
SELECT ok, version, written_by, CASE WHEN ok THEN pg_current_xact_id()::text END FROM fit, current
"""
FLUSH = "SELECT pg_logical_emit_message(true, 'anabranch', '')"
"""Something for the log: a commit that has nothing in it is not written to disk, nor is what came before it."""
FATE = "SELECT CASE WHEN pg_is_in_recovery() THEN 'replica' ELSE pg_xact_status(%s::text::xid8) END"
"""What became of a transaction; a replica may not have heard of it yet."""
PUT = """
INSERT INTO {schema}.objects (id, body) SELECT id, body FROM unnest(%b::text[], %b::bytea[]) AS o (id, body)
ON CONFLICT (id) DO UPDATE SET at = clock_timestamp()
"""
DELETE = """
DELETE FROM {schema}.objects WHERE id = ANY (
    SELECT id FROM {schema}.objects
    WHERE id = ANY (%s::text[]) AND at < statement_timestamp() - make_interval(secs => %s)
    ORDER BY id FOR UPDATE
)
"""


def in_schema(text: str, schema: str) -> bytes:
    """``text`` with ``{schema}`` filled in; an ``Address`` has made sure that it is plain."""
    return text.replace("{schema}", f'"{schema}"').encode()


def lock_number(schema: str, key: str | None = None) -> int:
    """The advisory lock of a key, or (None) of the whole store: 64 bits of a hash, as a signed number."""
    text = f"anabranch\0{schema}" if key is None else f"anabranch\0{schema}\0{key}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True)
