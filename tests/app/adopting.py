"""Tables of another tool, and the models that describe them."""

from tests.support.project import SOURCE, Model
from tests.support.site import PROD, Site, expected

from anabranch.app.state import ADOPTED, CONTENT, PHYSICAL
from anabranch.domain.names import AssetName
from anabranch.domain.places import is_adopted
from anabranch.domain.snapshot import Kind

A, B = AssetName("s.a"), AssetName("s.b")
MODELS = {
    "raw.u": SOURCE,
    "s.a": Model(reads=("raw.u",)),
    "s.e": Model(kind=Kind.EMBEDDED, reads=("s.a",)),
    "s.b": Model(reads=("s.e",), kind=Kind.BY_UNIQUE_KEY),
    "s.z": Model(),
}
REST = {"raw.u": SOURCE, "s.z": Model()}
ADOPTED_ONLY = {n: MODELS[n] for n in ("raw.u", "s.a", "s.e", "s.b")}


def foreign(site: Site, *assets: AssetName) -> None:
    """Tables of another tool, with the rows that the models would give."""
    values = expected(MODELS)
    for asset in assets:
        site.world.load(asset, values[asset])
        site.world.take(PROD, asset)


def by_name(site: Site) -> dict[AssetName, str | None]:
    """What readers find under the names of the two tables, whoever manages them."""
    shown = site.shown(PROD)
    tables = site.world.tables
    return {a: shown[a] if a in shown else tables[a].value if a in tables else None for a in (A, B)}


def promised() -> dict[AssetName, str]:
    values = expected(MODELS)
    return {a: values[a] for a in (A, B)}


def is_free(site: Site) -> bool:
    """Whether the tables stand under their own names, and nothing is known of them."""
    cells = list(site.store.scan(ADOPTED))
    for prefix in (PHYSICAL, CONTENT):
        cells += [k for k in site.store.scan(prefix) if is_adopted(k.removeprefix(prefix))]
    return {A, B} <= site.world.tables.keys() and not cells and (PROD, A) in site.world.foreign
