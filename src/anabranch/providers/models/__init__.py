"""Models: physical tables named by fingerprint, and views that point at them.

In one schema a reader finds an environment's views (``sales__feature.orders``; the trunk's own are ``sales.orders``);
the physical tables stand aside (``anabranch__sales.orders__0123456789ab``) and never change once built. What each
environment shows is recorded in ``anabranch.environments`` of the same database, in the same transaction as the views
themselves.
"""

from anabranch.providers.models.provider import ModelsProvider

__all__ = ["ModelsProvider"]
