"""``anabranch ARGUMENTS``, killed just after the environment's ref moved and before its views did.

For the examples of docs/crash-safety.md.
"""

from __future__ import annotations

import os
import signal

from anabranch.cli.main import main
from anabranch.providers.models import provider


def _die(prepared: object) -> None:
    del prepared
    os.kill(os.getpid(), signal.SIGKILL)


setattr(provider._Prepared, "commit", _die)  # noqa: B010  # for a moment, and only here
main()
