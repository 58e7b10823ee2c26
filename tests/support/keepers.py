"""Servers that end with the process that started them, however it ended: each is held by a keeper, a program that waits
on its standard input."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

END_LIMIT = 30
"""Seconds that a keeper gets to stop its server."""


@contextmanager
def kept(command: Sequence[object], start_limit: float, **options: Any) -> Iterator[dict[str, Any]]:
    """Starts a keeper, in a process group of its own, and gives what it says first: a JSON object in a line; empty where
    it said nothing within ``start_limit`` seconds. ``options`` are ``Popen``'s."""
    process = subprocess.Popen(
        [str(c) for c in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )
    assert process.stdin
    assert process.stdout
    try:
        # unlike select.select, also for a process with over 1,024 files
        ready = select.poll()
        ready.register(process.stdout, select.POLLIN | select.POLLHUP)
        yield json.loads(process.stdout.readline() or "{}") if ready.poll(start_limit * 1000) else {}
    finally:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(END_LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(END_LIMIT)
