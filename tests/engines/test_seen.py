"""What an adapter says of how its tests have seen its engine decides which tests of the suite run."""

import pytest

from anabranch.ports.capabilities import Capability
from anabranch.testing.engine_helpers import EnginePart, Matter, Seen


class Part(EnginePart):
    seen = {  # noqa: RUF012
        Capability.GRANTS: Seen.EMULATED,
        Capability.CLONE_TABLE: Seen.GOLDEN,
        Matter.STOPPING: Seen.NOT,
    }


@pytest.mark.parametrize("what", [Capability.CLONE_TABLE, Matter.STOPPING])
def test_what_is_not_run_is_skipped_and_says_so(what):
    with pytest.raises(pytest.skip.Exception, match=f"{what}: {Part.seen[what]}"):
        Part().look(Capability.MERGE, what)


def test_all_else_is_run():
    Part().look(Capability.GRANTS, Capability.MERGE, Matter.SIZES)
    EnginePart().look(*Capability, *Matter)
