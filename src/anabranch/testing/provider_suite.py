"""What every Provider obeys, as tests. An adapter's own test is a few lines and a rig::

    class TestMyProvider(ProviderSuite):
        @pytest.fixture
        def rig(self, tmp_path):
            return MyRig(tmp_path)

``rig`` is a fixture that gives a ``Rig`` (see :mod:`anabranch.testing.provider_helpers`): one world, empty before the
test, that any number of providers act on, with hands to read what readers see and to damage what stands there.
``pytest.register_assert_rewrite("anabranch.testing")`` in a conftest.py has pytest explain the assertions.
"""

from __future__ import annotations

from collections.abc import Callable

from anabranch.testing.building_suite import BuildingSuite
from anabranch.testing.checking_suite import CheckingSuite
from anabranch.testing.cloning_suite import CloningSuite
from anabranch.testing.observing_suite import ObservingSuite
from anabranch.testing.provider_helpers import FEATURE, A, Rig, build, show, shown_by, state
from anabranch.testing.showing_suite import ShowingSuite


class ProviderSuite(BuildingSuite, CheckingSuite, ShowingSuite, ObservingSuite, CloningSuite):
    def test_equal_revisions_mean_that_nothing_changed(self, rig: Rig) -> None:
        provider = rig.open()
        snapshot = rig.snapshot(A, 1)
        changes: list[Callable[[], object]] = [
            lambda: build(provider, snapshot),
            lambda: show(provider, FEATURE, state(1), {A: (None, snapshot)}),
            lambda: rig.unpoint(FEATURE, A),
            lambda: show(provider, FEATURE, None, {A: (snapshot, None)}),
            lambda: provider.drop([snapshot.location]),
        ]
        for change in changes:
            before = provider.revision()
            change()
            provider.close()
            after = provider.revision()
            assert before is None or after is None or before != after

    def test_what_was_closed_opens_again(self, rig: Rig) -> None:
        provider = rig.open()
        provider.close()
        provider.close()
        snapshot = rig.snapshot(A, 1)
        build(provider, snapshot)
        show(provider, FEATURE, state(1), {A: (None, snapshot)})
        provider.close()
        assert shown_by(provider, FEATURE) == state(1)
        assert provider.locations() == {snapshot.location}
        assert provider.name == rig.open().name
