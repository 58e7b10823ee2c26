"""Projects made of a few texts."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from anabranch.loaders.cache import ParseCache
from anabranch.loaders.native import NativeLoader, NativeSettings


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())


def loader(
    root: Path,
    files: Mapping[str, str | bytes] | None = None,
    *,
    cache: Path | None = None,
    now: Callable[[], int] | None = None,
    **settings: Any,
) -> NativeLoader:
    write(root, files or {})
    kept = ParseCache(cache) if now is None else ParseCache(cache, now)
    return NativeLoader(root, NativeSettings(**settings), kept)
