"""Rules that models are checked against, without building anything.

A third party's rule is an entry point of the group ``anabranch.lint``, named as the rule's code: a callable that takes
a :class:`~anabranch.ports.loader.Project` and returns findings.
"""

from anabranch.linting.values import Finding, Level

__all__ = ["Finding", "Level"]
