"""Random renames, swaps, pointers and drops, against a model in which views read names and nothing else."""

import random
from dataclasses import dataclass, field

import pytest

from anabranch.engines.postgres import PostgresEngine, PostgresSession
from anabranch.errors import StatementFailed
from anabranch.testing.engine_helpers import SCHEMA, at, rows, text

pytestmark = pytest.mark.postgres

NAMES = ("a", "b", "c", "d", "e")
POINTERS = ("p", "q")
TURNS = 180


@dataclass
class Model:
    """``tables``: which content has a name. ``views``: by hand, over a table or a pointer, or over two. ``pointers``: over
    a table's name. ``seen``: what a view last read by each name: where nothing has the name, it reads on."""

    tables: dict[str, int] = field(default_factory=dict)
    pointers: dict[str, str] = field(default_factory=dict)
    views: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seen: dict[tuple[str, str], int] = field(default_factory=dict)

    def copy(self) -> "Model":
        return Model(dict(self.tables), dict(self.pointers), dict(self.views), dict(self.seen))

    def content(self, reader: str, name: str) -> int:
        if name in self.pointers:
            return self.content(name, self.pointers[name])
        if name in self.tables:
            self.seen[reader, name] = self.tables[name]
        return self.seen[reader, name]

    def expected(self) -> dict[str, list[int]]:
        found = {p: [self.content(p, target)] for p, target in self.pointers.items()}
        return {**found, **{v: [self.content(v, n) for n in names] for v, names in self.views.items()}}


class Play:
    def __init__(self, session: PostgresSession, seed: int) -> None:
        self.session = session
        self.chance = random.Random(seed)
        self.model = Model()
        self.found: dict[str, list[int]] = {}
        self.number = 0
        self.log: list[str] = []

    def new(self) -> int:
        self.number += 1
        return self.number

    def turn(self) -> None:
        free = [n for n in NAMES if n not in self.model.tables]
        taken = sorted(self.model.tables)
        sources = [*taken, *sorted(self.model.pointers)]
        match self.chance.choice(("make", "rename", "rename", "rename", "swap", "point", "view", "view", "drop")):
            case "make" if free:
                self.make(self.chance.choice(free))
            case "rename" if free and taken:
                self.rename(self.chance.choice(taken), self.chance.choice(free))
            case "swap" if len(taken) > 1:
                self.swap(*self.chance.sample(taken, 2))
            case "point" if taken:
                self.point(self.chance.choice(POINTERS), self.chance.choice(taken))
            case "view" if sources:
                names = tuple(self.chance.choice(sources) for _ in range(self.chance.choice((1, 2, 2))))
                self.view(self.chance.choice(("u", "v", "w")), names)
            case "drop" if taken:
                self.drop(self.chance.choice(taken))
            case _:
                return
        self.check()

    def query(self, content: int) -> str:
        """Of different shapes: columns that come, go, and change their types; x is always there."""
        more = self.chance.choice(("", ", 1 AS y", ", 'y' AS y", ", 2.5 AS y, true AS z"))
        kind = self.chance.choice(("integer", "bigint"))
        return f"SELECT {content}::{kind} AS x{more}"

    def make(self, name: str) -> None:
        content = self.new()
        self.log.append(f"make {name} = {content}")
        self.session.create_table(at(name), self.query(content))
        self.model.tables[name] = content

    def rename(self, old: str, new: str) -> None:
        self.log.append(f"rename {old} to {new}")
        self.model.expected()
        self.session.rename(at(old), new)
        self.model.tables[new] = self.model.tables.pop(old)

    def swap(self, one: str, other: str) -> None:
        self.log.append(f"swap {one} and {other}")
        self.session.swap(at(one), at(other))
        tables = self.model.tables
        tables[one], tables[other] = tables[other], tables[one]

    def point(self, name: str, target: str) -> None:
        self.log.append(f"point {name} at {target}")
        self.session.point({at(name): at(target)})
        self.model.pointers[name] = target
        self.model.seen.pop((name, target), None)

    def view(self, name: str, names: tuple[str, ...]) -> None:
        self.log.append(f"view {name} of {names}")
        self.found.pop(name, None)
        listed = " UNION ALL ".join(
            f"SELECT {i} AS i, x::bigint AS x FROM {text(self.session, at(n))}" for i, n in enumerate(names)
        )
        self.session.create_view(at(name), listed)
        self.model.views[name] = names

    def drop(self, name: str) -> None:
        """Refused, and known to be, where a view reads it."""
        self.log.append(f"drop {name}")
        if self.session._link.in_transaction:
            return
        is_read = any(self.model.tables[name] in found for found in self.found.values())
        try:
            self.session.drop([at(name)])
        except StatementFailed:
            assert is_read, self.log
        else:
            assert not is_read, self.log
            del self.model.tables[name]

    def check(self) -> None:
        expected = self.model.expected()
        found = {
            name: [int(str(row[0 if name in POINTERS else 1])) for row in rows(self.session, at(name))]
            for name in expected
        }
        for name, names in self.model.views.items():
            if all(n in self.model.tables or n in self.model.pointers for n in names):
                continue
            # it lacks a name: what it reads by the others is what they have, or what they had
            before = self.found.get(name, [])
            expected[name] = [
                f if f in before[i : i + 1] else e
                for i, (f, e) in enumerate(zip(found[name], expected[name], strict=True))
            ]
            self.model.seen.update({(name, n): f for n, f in zip(names, found[name], strict=True)})
        assert found == expected, "\n".join(self.log)
        self.found = found
        targets = self.session.targets([SCHEMA])
        for name, target in self.model.pointers.items():
            if target in self.model.tables:
                assert targets[at(name)] == at(target), self.log
                assert self.session.columns(at(name)) == self.session.columns(at(target)), self.log
        for name in self.model.views:
            assert targets[at(name)] is None


@pytest.mark.parametrize("seed", range(8))
def test_views_read_names(postgres_url, seed):
    engine = PostgresEngine(postgres_url, patience=10)
    with engine.session() as session:
        session.create_schemas([SCHEMA])
        play = Play(session, seed)
        for _ in range(TURNS // 6):
            before = play.model.copy(), dict(play.found)
            how = play.chance.choice(("plainly", "kept", "taken back"))
            if how != "plainly":
                play.log.append("begin")
                session.begin()
            for _ in range(6):
                play.turn()
            if how == "kept":
                play.log.append("commit")
                session.commit()
            elif how == "taken back":
                play.log.append("rollback")
                session.rollback()
                play.model, play.found = before
            play.check()
    engine.close()
