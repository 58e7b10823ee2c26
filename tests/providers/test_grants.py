"""What is granted on a view outlives its replacement, on an engine that forgets it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from anabranch.domain.names import EnvironmentName
from anabranch.ports.capabilities import Capability, Support
from anabranch.ports.engine import Grant, Relation
from anabranch.providers.models import ModelsProvider

OLD, NEW, GONE = (Relation("marts", name) for name in ("old", "new", "gone"))
TABLE = Relation("anabranch__marts", "t")


class Forgetful:
    """A session over rights by view; whatever is pointed loses them."""

    transacts = True

    def __init__(self) -> None:
        self.rights = {OLD: (Grant("SELECT", "analyst"),), GONE: (Grant("SELECT", "analyst"),)}

    def grants(self, relations):
        return {r: self.rights[r] for r in relations if r in self.rights}

    def point(self, pointers):
        for view in pointers:
            self.rights.pop(view, None)

    def grant(self, relation, grants):
        self.rights[relation] = tuple(grants)


@pytest.mark.parametrize("support", [Support.FULL, Support.NEVER])
def test_rights_are_granted_again(tmp_path: Path, support: Support):
    engine = SimpleNamespace(capabilities={Capability.GRANTS: support})
    provider = ModelsProvider(cast(Any, engine), root=tmp_path, trunk=EnvironmentName("prod"), default_schema="main")
    session = Forgetful()
    provider._showing.point(cast(Any, session), {OLD: TABLE, NEW: TABLE, GONE: None})
    assert session.rights == ({OLD: (Grant("SELECT", "analyst"),)} if support is Support.FULL else {})
