"""What audits look at, on DuckDB: whole tables, views, and of what is staged the new rows alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.loaders.projects import loader

from anabranch.domain.audit import Finding
from anabranch.domain.content import first
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.snapshot import Snapshot
from anabranch.engines.duckdb import DuckDBEngine
from anabranch.errors import AnabranchError
from anabranch.loaders.settings import SourceSettings
from anabranch.ports.provider import Over, Staged, Work
from anabranch.providers.auditing import SHOWN
from anabranch.providers.models import ModelsProvider

DAY = 86_400
RAW, T, U, V = (AssetName(n) for n in ("raw.x", "main.t", "main.u", "main.v"))
AUDIT = "audits (small(most := 10))"
FILES = {"audits/small.sql": "AUDIT (name small); SELECT id FROM @this_model WHERE id > @most ORDER BY id"}


class Rig:
    def __init__(self, root: Path, files: dict[str, str]) -> None:
        self.engine = DuckDBEngine(root / "w.duckdb", patience=5)
        self.provider = ModelsProvider(
            self.engine, root=root, trunk=EnvironmentName("prod"), default_schema="main", workers=1
        )
        self.execute("CREATE SCHEMA raw", "CREATE TABLE raw.x (id INTEGER, day DATE)")
        sources = {RAW: SourceSettings()}
        self.assets = loader(root, {**FILES, **files}, provider="models", sources=sources).load().assets

    def execute(self, *statements: str) -> None:
        with self.engine.session() as session:
            for statement in statements:
                session.execute(statement)

    def inputs(self, snapshot: Snapshot) -> dict[AssetName, Snapshot]:
        return {a: s for a, s in self.assets.items() if a != snapshot.asset}

    def build(self, asset: AssetName, work: Work) -> None:
        self.provider.build(self.assets[asset], self.inputs(self.assets[asset]), work)

    def audit(self, asset: AssetName, over: Over) -> Finding:
        snapshot = self.assets[asset]
        (found,) = self.provider.audit(snapshot, self.inputs(snapshot), snapshot.audits, over)
        return found

    def stage(self, asset: AssetName, work: Work, staged: dict[AssetName, Staged] | None = None) -> Staged:
        snapshot = self.assets[asset]
        content = self.provider.contents([snapshot.location]).get(snapshot.location) or first((), 0.0)
        return self.provider.stage(snapshot, content, self.inputs(snapshot), staged or {}, work)


def ids(finding: Finding) -> list[object]:
    return [row[0] for row in finding.rows]


KINDS = {
    "full": ("kind FULL", [11, 12]),
    "by_time": ("kind INCREMENTAL_BY_TIME_RANGE (time_column day), start '2024-01-01'", [12]),
    "by_key": ("kind INCREMENTAL_BY_UNIQUE_KEY (unique_key id)", [11, 12]),
    "by_partition": ("kind INCREMENTAL_BY_PARTITION, partitioned_by (day)", [11, 12]),
    "append": ("kind INCREMENTAL_UNMANAGED", [11, 12]),
    "history": ("kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns *)", [11, 12]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_build_is_audited_as_a_whole_and_a_refresh_by_its_new_rows(tmp_path: Path, kind: str) -> None:
    header, new = KINDS[kind]
    rig = Rig(tmp_path, {"models/t.sql": f"MODEL ({header}, {AUDIT}); select id, day from raw.x"})
    rig.execute("INSERT INTO raw.x VALUES (1, '2024-01-01'), (11, '2024-01-01')")
    begin = 1_704_067_200
    rig.build(T, Work(((begin, begin + DAY),), begin + DAY))
    assert ids(rig.audit(T, Over(work=Work((), begin + DAY)))) == [11]
    rig.execute("INSERT INTO raw.x VALUES (12, '2024-01-02'), (2, '2024-01-02')")
    work = Work(((begin + DAY, begin + 2 * DAY),), begin + 2 * DAY)
    staged = rig.stage(T, work)
    assert ids(rig.audit(T, Over({T: staged}, work))) == new
    assert ids(rig.audit(T, Over(work=work))) == [11], "what readers see has not moved"


def test_what_an_audit_reads_of_the_same_refresh_is_as_it_will_be(tmp_path: Path) -> None:
    call = "audits (relationships(column := id, to := u, field := id))"
    files = {
        "models/t.sql": f"MODEL (kind FULL, {call}); select id from raw.x",
        "models/u.sql": "MODEL (kind INCREMENTAL_BY_UNIQUE_KEY (unique_key id)); select id from raw.x",
    }
    rig = Rig(tmp_path, files)
    rig.execute("INSERT INTO raw.x (id) VALUES (1)")
    begun, later = Work(((0, DAY),), DAY), Work(((DAY, 2 * DAY),), 2 * DAY)
    for asset in (T, U):
        rig.build(asset, begun)
    rig.execute("INSERT INTO raw.x (id) VALUES (2)")
    own, other = rig.stage(T, later), rig.stage(U, later)
    assert ids(rig.audit(T, Over({T: own}, later))) == [2]
    assert rig.audit(T, Over({T: own, U: other}, later)).passed


def test_a_view_over_what_is_staged_is_audited_as_it_will_be(tmp_path: Path) -> None:
    files = {
        "models/t.sql": "MODEL (kind FULL); select id from raw.x",
        "models/v.sql": f"MODEL (kind VIEW, {AUDIT}); select id + 1 as id from t",
    }
    rig = Rig(tmp_path, files)
    rig.execute("INSERT INTO raw.x (id) VALUES (1)")
    rig.build(T, Work((), 100))
    rig.build(V, Work((), 100))
    assert rig.audit(V, Over(work=Work((), 100))).passed
    rig.execute("INSERT INTO raw.x (id) VALUES (10)")
    assert ids(rig.audit(V, Over({T: rig.stage(T, Work((), 200))}, Work((), 200)))) == [11]


def test_many_rows_are_counted_and_some_are_shown(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {"models/t.sql": f"MODEL ({AUDIT}); select id from raw.x"})
    rig.execute("INSERT INTO raw.x (id) SELECT range FROM range(100)")
    rig.build(T, Work((), 100))
    found = rig.audit(T, Over())
    assert (found.count, found.columns, ids(found)) == (89, ("id",), list(range(11, 11 + SHOWN)))


def test_what_an_audit_reads_through_an_embedded_model(tmp_path: Path) -> None:
    files = {
        "models/t.sql": "MODEL (audits (known)); select id from raw.x",
        "models/u.sql": "MODEL (kind EMBEDDED); select id from raw.x where id < 5",
        "audits/known.sql": "AUDIT (name known); SELECT id FROM @this_model WHERE id NOT IN (SELECT id FROM u)",
    }
    rig = Rig(tmp_path, files)
    rig.execute("INSERT INTO raw.x (id) VALUES (1), (7)")
    rig.build(T, Work((), 100))
    assert ids(rig.audit(T, Over())) == [7]


def test_an_audit_that_can_not_be_run_is_named(tmp_path: Path) -> None:
    files = {
        "models/t.sql": "MODEL (audits (odd)); select id from raw.x",
        "audits/odd.sql": "AUDIT (name odd); SELECT nope FROM @this_model",
    }
    rig = Rig(tmp_path, files)
    rig.build(T, Work((), 100))
    with pytest.raises(AnabranchError, match=r"^the audit odd can't be run: .*nope") as caught:
        rig.audit(T, Over())
    assert caught.value.asset == T
    assert caught.value.where is not None
    assert caught.value.where.path == tmp_path / "models/t.sql"


def test_an_audit_can_not_write(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {"models/t.sql": f"MODEL ({AUDIT}); select id from raw.x"})
    rig.build(T, Work((), 100))
    from dataclasses import replace

    (audit,) = rig.assets[T].audits
    writing = replace(audit, template=("CREATE TABLE raw.y AS SELECT * FROM ", T, ""))
    with pytest.raises(AnabranchError):
        rig.provider.audit(rig.assets[T], {}, [writing], Over())
