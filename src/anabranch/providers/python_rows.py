"""What a model's function gives, as Arrow: tables, streams, data frames, or a generator of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from anabranch.domain.names import nearest
from anabranch.errors import ModelError
from anabranch.ports.engine import ArrowStream


@runtime_checkable
class Readable(Protocol):
    """Rows of the warehouse, not read yet."""

    def reader(self, rows: int = 0) -> ArrowStream: ...


Compute = Callable[[object], object]
"""Has an expression over the warehouse's tables computed there; what isn't one is given back."""


def parts(value: object, columns: Mapping[str, str], asset: str, compute: Compute) -> Iterator[ArrowStream]:
    """The rows of ``value``, each part checked for having ``columns`` and no others.

    Raises:
        ModelError: it isn't rows, or has other columns.
    """
    if isinstance(value, Iterator) and not hasattr(value, "__arrow_c_stream__"):
        for each in value:
            yield from parts(each, columns, asset, compute)
        return
    stream = _stream(compute(value), asset)
    _check(list(stream.schema.names), columns, asset)
    yield stream


def _stream(value: Any, asset: str) -> Any:
    """As a ``pyarrow.Table`` or a ``pyarrow.RecordBatchReader``."""
    import pyarrow

    package = type(value).__module__.partition(".")[0]
    if isinstance(value, Readable):
        return value.reader()
    if isinstance(value, pyarrow.Table | pyarrow.RecordBatchReader):
        return value
    if package == "pandas" and hasattr(value, "to_dict") and hasattr(value, "columns"):
        return pyarrow.Table.from_pandas(value, preserve_index=False)
    if package == "polars" and hasattr(value, "collect"):
        value = value.collect()
    if hasattr(value, "__arrow_c_stream__"):
        return pyarrow.RecordBatchReader.from_stream(value)
    for method in ("to_pyarrow_batches", "to_pyarrow"):
        convert: Callable[[], object] | None = getattr(value, method, None)
        if convert is not None:
            return _stream(convert(), asset)
    given = "nothing" if value is None else f"a {type(value).__name__}"
    raise ModelError(
        f"the function returned {given}, not rows",
        asset=asset,
        hint="return an Arrow table, a data frame, or a generator of these; for no rows: yield from ()",
    )


def _check(names: list[str], columns: Mapping[str, str], asset: str) -> None:
    there = [n.lower() for n in names]
    missing = [c for c in columns if c not in there]
    others = [n for n in names if n.lower() not in columns]
    twice = sorted({n for n in there if there.count(n) > 1})
    if not missing and not others and not twice:
        return
    told = []
    if missing:
        told.append(f"lack {', '.join(missing)}")
    if others:
        told.append(f"have {', '.join(others)}, which isn't declared" if len(others) == 1 else _undeclared(others))
    if twice:
        told.append(f"have {', '.join(twice)} twice")
    near = nearest(missing[0], others) if missing and others else None
    hint = f"is {near} meant to be {missing[0]}? " if near else ""
    declared = f"declared are {', '.join(columns)}"
    raise ModelError(f"the rows that the function returned {' and '.join(told)}", asset=asset, hint=hint + declared)


def _undeclared(names: list[str]) -> str:
    return f"have {', '.join(names)}, which aren't declared"
