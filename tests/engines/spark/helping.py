"""What tests of Spark have in common."""

from __future__ import annotations

SLOW = "SELECT a.id AS a, xxhash64(a.id, b.id) AS b FROM range(1000000) AS a CROSS JOIN range(1000000) AS b"
SECRET = "dapi0123456789abcdef"
