"""A project, and how a change to it is rehearsed: what the tests of the daily loop begin with."""

from tests.support.project import SOURCE, Model
from tests.support.site import FEATURE, Process, Site

from anabranch.domain.names import EnvironmentName
from anabranch.domain.snapshot import Kind

MODELS = {
    "raw.u": SOURCE,
    "s.a": Model(reads=("raw.u",)),
    "s.e": Model(kind=Kind.EMBEDDED, reads=("s.a",)),
    "s.b": Model(reads=("s.e",)),
    "s.v": Model(kind=Kind.VIEW, reads=("s.b",)),
    "s.z": Model(),
}
CHANGED = {**MODELS, "s.b": Model("2", reads=("s.e",)), "s.new": Model(reads=("s.z",))}


def rehearse(site: Site, models=CHANGED, name: EnvironmentName = FEATURE, author: str = "bob") -> Process:
    """Another process, whose feature environment is as its files say."""
    process = site.process(models, author=author)
    process.apply(name)
    return process
