"""What every Engine obeys, as tests. An adapter's own test is a few lines::

    class TestMyEngine(EngineSuite):
        slow_query = "SELECT count(*) FROM generate_series(1, 100000000000)"

        @pytest.fixture
        def open_engine(self, tmp_path):
            return lambda: MyEngine(tmp_path / "database")

``open_engine`` is a fixture that gives a callable; each call opens another handle on one database, which has no
relations before the test. A handle is closed before the next one is used, as two processes would that take turns.
``pytest.register_assert_rewrite("anabranch.testing")`` in a conftest.py has pytest explain the assertions.

What an engine claims to be able to do is tried; what it doesn't claim it has to refuse.
"""

from __future__ import annotations

from anabranch.testing.arrow_suite import ArrowSuite
from anabranch.testing.clone_suite import CloneSuite
from anabranch.testing.file_suite import FileSuite
from anabranch.testing.grant_suite import GrantSuite
from anabranch.testing.hash_suite import HashSuite
from anabranch.testing.name_suite import NameSuite
from anabranch.testing.pointer_suite import PointerSuite
from anabranch.testing.session_suite import SessionSuite
from anabranch.testing.table_suite import TableSuite
from anabranch.testing.transaction_suite import TransactionSuite


class EngineSuite(
    SessionSuite,
    TableSuite,
    PointerSuite,
    FileSuite,
    TransactionSuite,
    HashSuite,
    ArrowSuite,
    CloneSuite,
    GrantSuite,
    NameSuite,
):
    """All of it. What an adapter says of its engine is in :class:`anabranch.testing.engine_helpers.EnginePart`."""
