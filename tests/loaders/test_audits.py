"""Audits from files to snapshots."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.loaders.projects import loader, write

from anabranch.domain.names import AssetName
from anabranch.errors import DuplicateAsset, ModelError, UnknownUpstream
from anabranch.loaders.assemble import NO_AUDITS

T = AssetName("main.t")
MODEL = "MODEL (audits (not_null(columns := (a)), big(least := 2)));\nselect 1 as a"
FILES = {
    "models/t.sql": MODEL,
    "audits/own/big.sql": "AUDIT (name big);\nSELECT * FROM @this_model WHERE a < @least",
}


def test_a_snapshot_has_the_audits_of_its_model(tmp_path: Path) -> None:
    found = loader(tmp_path, FILES).load().assets[T]
    assert [str(a) for a in found.audits] == ["not_null(columns := (a))", "big(least := 2)"]
    assert all(a.template[1] == T for a in found.audits)


def test_what_follows_the_query_is_run_without_being_named(tmp_path: Path) -> None:
    text = (
        "select 1 as a; AUDIT (name one); FROM @this_model WHERE a < 0; AUDIT (name two, skip true); FROM @this_model"
    )
    found = loader(tmp_path, {"models/t.sql": text}).load().assets[T]
    assert [a.name for a in found.audits] == ["one"]


def test_an_audit_changes_the_id_and_nothing_else(tmp_path: Path) -> None:
    plain = loader(tmp_path / "plain", {"models/t.sql": "select 1 as a"}).load().assets[T]
    audited = loader(tmp_path / "audited", FILES).load().assets[T]
    assert (audited.fingerprint, audited.logic, audited.location) == (plain.fingerprint, plain.logic, plain.location)
    assert audited.id != plain.id


def test_what_an_audit_reads_is_no_upstream(tmp_path: Path) -> None:
    files = {
        "models/t.sql": "MODEL (audits (relationships(column := a, to := u, field := b))); select 1 as a",
        "models/u.sql": "select a as b from t",
    }
    found = loader(tmp_path, files).load().assets
    assert found[T].audits[0].reads == ("main.u",)
    assert not found[T].upstreams


def test_a_seed_is_audited_and_an_embedded_model_is_not(tmp_path: Path) -> None:
    files = {
        "models/s.sql": "MODEL (kind SEED (path '../seeds/x.csv'), audits (not_null(columns := a)));",
        "models/e.sql": "MODEL (kind EMBEDDED, audits (not_null(columns := a))); select 1 as a",
        "seeds/x.csv": "a\n1\n",
    }
    project = loader(tmp_path, files).load()
    assert [a.name for a in project.assets[AssetName("main.s")].audits] == ["not_null"]
    assert project.assets[AssetName("main.e")].audits == ()
    assert project.notes == (f"{NO_AUDITS} (main.e)",)


def test_an_audit_file_that_changes_is_seen_and_the_rest_comes_from_the_cache(tmp_path: Path) -> None:
    cache = tmp_path / "cache.db"
    first = loader(tmp_path, FILES, cache=cache).load()
    again = loader(tmp_path, cache=cache)
    assert again.digest() == first.digest
    assert again.load().assets == first.assets
    write(tmp_path, {"audits/own/big.sql": "AUDIT (name big);\nSELECT * FROM @this_model WHERE a <= @least"})
    changed = loader(tmp_path, cache=cache).load()
    assert changed.digest != first.digest
    assert "<= 2" in changed.assets[T].audits[1].query
    assert changed.assets[T].fingerprint == first.assets[T].fingerprint


@pytest.mark.parametrize(
    ("files", "kind", "message", "place"),
    [
        ({"models/t.sql": "MODEL (audits (big(least := 1), gib)); select 1 as a"}, ModelError,
         "there is no audit gib", "models/t.sql:1:33"),
        ({"models/t.sql": "MODEL (audits (not_null(columns := b))); select 1 as a"}, ModelError,
         "main.t has no column b", "models/t.sql:1:36"),
        ({"models/t.sql": "MODEL (audits (relationships(column := a, to := u, field := b))); select 1 as a"},
         UnknownUpstream, "the audit relationships of main.t reads main.u, which doesn't exist", "models/t.sql:1:16"),
        ({"audits/own/big.sql": "AUDIT (name big);\nSELECT * FROM t WHERE a < @least AND"}, ModelError,
         "something is missing after 'AND'", "audits/own/big.sql:2:34"),
        ({"audits/a.sql": "AUDIT (name big); FROM @this_model WHERE a < @least"}, DuplicateAsset,
         "the audit big is defined in audits/a.sql and in audits/own/big.sql", "audits/own/big.sql:1:13"),
    ],
)  # fmt: skip
def test_mistakes(tmp_path: Path, files: dict[str, str], kind: type[ModelError], message: str, place: str) -> None:
    with pytest.raises(kind) as caught:
        loader(tmp_path, {**FILES, **files}).load()
    assert caught.value.message == message
    where = caught.value.where
    assert where is not None
    assert f"{where.path.relative_to(tmp_path)}:{where.line}:{where.column}" == place


def test_all_mistakes_are_told(tmp_path: Path) -> None:
    files = {"models/t.sql": "MODEL (audits (one, two)); select 1 as a"}
    with pytest.raises(ModelError, match=r"there is no audit one\nand one more:\n .*there is no audit two"):
        loader(tmp_path, files).load()
