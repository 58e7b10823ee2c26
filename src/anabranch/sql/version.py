"""What parse results depend on besides the text, told without loading sqlglot."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from anabranch import __version__
from anabranch.sql.columns.values import COLUMNS

WORDS = 1
"""The number of the rules in :mod:`anabranch.sql.canonical`, and of what a seed and a source are. Raise it when they
change."""
SCHEME = 2
"""The number of the rules by which models are fingerprinted: 1 was by words and whole upstreams, 2 is by columns
(:mod:`anabranch.sql.columns`, whose own number is part of it)."""

_VERSION = re.compile(r"""^__version__\s*=\s*(?:version\s*=\s*)?['"]([^'"]+)""", re.MULTILINE)


def parser_version() -> str:
    """Changes with all that parsing depends on: Anabranch, the scheme, sqlglot.

    sqlglot's version is read from its files: loading it costs more than all the rest of a command, and so does
    ``importlib.metadata``, which is the way out where the file isn't as expected.
    """
    return f"{__version__}/{SCHEME}.{COLUMNS}/{WORDS}/{_sqlglot_version()}"


def _sqlglot_version() -> str:
    spec = find_spec("sqlglot")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        try:
            found = _VERSION.search((Path(folder) / "_version.py").read_text(encoding="utf-8"))
        except OSError:
            continue
        if found:
            return found[1]
    from importlib.metadata import version

    return version("sqlglot")
