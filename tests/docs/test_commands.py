"""docs/commands.md is what the commands say of themselves."""

import os
import re
import subprocess
import sys

import pytest
from scripts import docs_commands
from tests.docs.pages import PAGES, ROOT, blocks, prose

from anabranch.cli.main import COMMANDS

SUBCOMMANDS = {"env": {"list", "show", "create", "drop"}}


@pytest.mark.docs
def test_commands_is_up_to_date() -> None:
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert written == docs_commands.page(), "run: python scripts/docs_commands.py"


def test_writing_the_page_changes_no_command() -> None:
    """click keeps a command's options for help as they were when it was first asked for them."""
    program = "from scripts import docs_commands; docs_commands.page(); from anabranch.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "init", "-h"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["src", "."])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "Usage: anabranch init" in done.stdout


def test_commands_that_are_named_exist() -> None:
    """`anabranch NAME` in back-ticks and in console blocks."""
    unknown = []
    for path in PAGES:
        text = [line for _, line in prose(path)]
        named = [m.group(1) for line in text for m in re.finditer(r"`anabranch ([^`]+)`", line)]
        shown = [line for b in blocks(path, "console") for line in b.text.splitlines() if line.startswith("$ ")]
        named += [m.group(1) for line in shown for m in re.finditer(r"(?:^|[;&|] )\$? ?anabranch (.+)", line)]
        for words in named:
            first, *rest = words.split()
            if first.isupper() or first.startswith("-"):
                continue
            second = rest[0] if rest else ""
            known = first in COMMANDS and (
                first not in SUBCOMMANDS or not second or second.startswith("-") or second in SUBCOMMANDS[first]
            )
            if not known:
                unknown.append(f"{path.name}: anabranch {words}")
    assert not unknown
