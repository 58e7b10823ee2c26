"""ClickHouse: embedded, with a folder that one process has at a time, or a server.

Verified against ClickHouse 26.9.
"""

from anabranch.engines.clickhouse.engine import ClickHouseEngine
from anabranch.engines.clickhouse.session import ClickHouseSession

__all__ = ["ClickHouseEngine", "ClickHouseSession"]
