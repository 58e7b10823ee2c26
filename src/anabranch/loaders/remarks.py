"""What can be said of a project's models, with places in their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from anabranch.domain.names import AssetName
from anabranch.domain.remarks import Remark, Remarks
from anabranch.errors import Where
from anabranch.loaders.assemble import Assembly
from anabranch.sql.parsed import ParsedModel


def remarks_of(assembly: Assembly, text_of: Callable[[str], str | None]) -> Remarks:
    """Of all models of an assembly whose assets are there. ``text_of``: a file's text, by its path."""
    found: dict[AssetName, tuple[Remark, ...]] = {}
    for asset, (path, model) in assembly.queries.items():
        from anabranch.sql.columns.remarks import remarks  # loads sqlglot
        from anabranch.sql.syntax import single

        settings = assembly.settings
        listings = {AssetName(r.name): assembly.listings[AssetName(r.name)] for r in model.reads}
        statement = single(model.query, settings.dialect)
        said = remarks(statement, settings.default_schema, listings, assembly.analysed[asset])
        text = (text_of(path) or "") if said else ""
        file = assembly.root / path
        found[asset] = tuple(
            Remark(s.sort, s.message, _place(file, text, model, s.start, s.end), s.hint, s.assets) for s in said
        )
    places = {name: where for name, (_, where) in assembly.defined.items() if where is not None}
    return Remarks(places, found)


def _place(file: Path, text: str, model: ParsedModel, start: int, end: int) -> Where:
    """The place in the file; that of the model's name where the query doesn't stand there as it is: macros made it."""
    begin = text.find(model.query)
    if begin < 0:
        return Where(file, *model.name_at)
    at = begin + start
    return Where(file, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at), end - start)
