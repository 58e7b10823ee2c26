"""Says what machine the figures are from."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """What decides how fast things are, and nothing that names the machine."""

    cpu: str
    cores: int
    memory_gib: int
    system: str
    python: str

    @property
    def key(self) -> str:
        """Figures of the same key may stand side by side."""
        return f"{self.cpu} | {self.cores} | {self.memory_gib} | {self.system} | {self.python}"


def describe() -> Machine:
    """Read the machine's description from the kernel."""
    models = re.findall(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    total = re.search(r"^MemTotal:\s*(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    name = re.search(r'^PRETTY_NAME="?([^"\n]+)', _read("/etc/os-release"), re.MULTILINE)
    return Machine(
        cpu=models[0].strip() if models else platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(int(total[1]) / 1024**2) if total else 0,
        system=f"{name[1] if name else platform.system()}, Linux {'.'.join(platform.release().split('.')[:2])}",
        python=platform.python_version(),
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
