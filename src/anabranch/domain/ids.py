"""Identifiers derived from content."""

from __future__ import annotations

import hashlib
import json
from typing import NewType

ObjectId = NewType("ObjectId", str)
"""40 hex digits: the BLAKE2b-160 hash of what an immutable object says."""
Fingerprint = NewType("Fingerprint", str)
"""40 hex digits: what decides an asset's data (docs/fingerprints.md)."""
SnapshotId = NewType("SnapshotId", ObjectId)
TreeId = NewType("TreeId", ObjectId)
CommitId = NewType("CommitId", ObjectId)
PlanId = NewType("PlanId", str)
StepId = NewType("StepId", str)

SHORT = 7
"""Digits of an id that people are shown."""


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(data: bytes) -> ObjectId:
    """The 40 hex digits that identify ``data``."""
    return ObjectId(hashlib.blake2b(data, digest_size=20).hexdigest())


def canonical(value: object) -> bytes:
    """JSON with one spelling for one value: keys sorted, no white space, UTF-8."""
    return _ENCODER.encode(value).encode()


def short(identifier: str) -> str:
    """The first digits of an id, for people."""
    return identifier[:SHORT]
