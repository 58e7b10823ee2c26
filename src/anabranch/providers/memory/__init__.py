"""Assets in memory: gone with the process. For tests, and to try what a provider has to do.

A :class:`~anabranch.providers.memory.world.World` is what a warehouse is to an engine; any number of providers act on
one, as processes would. A build's content is a *value*: a hash of its own logic and of the values of what it reads. So
what a reader sees tells exactly what it was made from, and equal data has equal values.
"""

from anabranch.providers.memory.provider import MemoryProvider, value_of

__all__ = ["MemoryProvider", "value_of"]
