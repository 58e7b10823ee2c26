"""Snowflake, through its own driver: several sessions at a time, each over a connection of its own.

Connections are kept for the next session and given back by :meth:`SnowflakeEngine.close`, for a login takes a second
and may ask somebody. Not run against Snowflake itself so far: what tests/engines/snowflake says of an emulator, and of
statements that are compared with what the documentation says, is all there is.
"""

from anabranch.engines.snowflake.engine import SnowflakeEngine
from anabranch.engines.snowflake.session import SnowflakeSession

__all__ = ["SnowflakeEngine", "SnowflakeSession"]
