"""Listing and hashing files."""

import os
from pathlib import Path
from typing import Any

import pytest
from tests.loaders.projects import loader, write

from anabranch.domain.ids import digest
from anabranch.errors import ModelError
from anabranch.loaders.files import RACY, Contents, Known, Stamp, scan

LATER = 10**18 * 4


def contents(root: Path, known: dict[str, Known] | None = None, now: int = LATER) -> Contents:
    found = Contents(root, known or {}, lambda: now)
    found.look(scan(root, "models", ".sql"), keep=False)
    return found


def test_a_folder_that_isnt_there_is_empty(tmp_path: Path) -> None:
    assert scan(tmp_path, "models", ".sql") == {}


def test_a_file_in_a_folders_place_is_told(tmp_path: Path) -> None:
    write(tmp_path, {"models": "x"})
    with pytest.raises(ModelError) as caught:
        scan(tmp_path, "models", ".sql")
    assert caught.value.message == "models can't be read: Not a directory"


def test_links_are_followed_but_not_in_a_circle(tmp_path: Path) -> None:
    write(tmp_path, {"models/a/x.sql": "select 1", "elsewhere/b/y.sql": "select 2", "one.sql": "select 3"})
    models = tmp_path / "models"
    (models / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (models / "z.sql").symlink_to(tmp_path / "one.sql")
    (models / "a" / "up").symlink_to(models, target_is_directory=True)
    (models / "a" / "self").symlink_to(models / "a", target_is_directory=True)
    (tmp_path / "elsewhere" / "b" / "back").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere" / "cross").symlink_to(models, target_is_directory=True)
    assert sorted(scan(tmp_path, "models", ".sql")) == ["models/a/x.sql", "models/linked/b/y.sql", "models/z.sql"]


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path, {"real/x.sql": "select 1"})
    (tmp_path / "models").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "real" / "again").symlink_to(tmp_path / "models", target_is_directory=True)
    assert list(scan(tmp_path, "models", ".sql")) == ["models/x.sql"]


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    write(tmp_path, {"models/a.sql": "select 1"})
    (tmp_path / "models" / "b.sql").symlink_to(tmp_path / "gone.sql")
    with pytest.raises(ModelError) as caught:
        scan(tmp_path, "models", ".sql")
    assert caught.value.message == "models/b.sql is a link that leads nowhere"


def test_a_link_to_itself_is_told(tmp_path: Path) -> None:
    write(tmp_path, {"models/a.sql": "select 1"})
    (tmp_path / "models" / "b.sql").symlink_to("b.sql")
    with pytest.raises(ModelError, match=r"models/b\.sql"):
        scan(tmp_path, "models", ".sql")


def test_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    os.mkfifo(tmp_path / "models" / "pipe.sql")
    assert scan(tmp_path, "models", ".sql") == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("path", ["models/secret.sql", "models/closed"])
def test_what_cant_be_read_is_told(tmp_path: Path, path: str) -> None:
    write(tmp_path, {"models/secret.sql": "select 1", "models/closed/a.sql": "select 1"})
    (tmp_path / path).chmod(0)
    try:
        with pytest.raises(ModelError, match=f"{path} can't be read: Permission denied"):
            contents(tmp_path)
    finally:
        (tmp_path / path).chmod(0o700)


def test_a_file_that_cant_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"models/a.sql": "select 1"})

    def refuse(self: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ModelError) as caught:
        contents(tmp_path)
    assert caught.value.message == "models/a.sql can't be read: Permission denied"
    assert caught.value.hint == "check who may read it"


def test_content_is_hashed_as_everything_is(tmp_path: Path) -> None:
    write(tmp_path, {"models/a.sql": b"x" * 3_000_000})
    assert contents(tmp_path).hashes == {"models/a.sql": digest(b"x" * 3_000_000)}


def test_what_is_known_isnt_read(tmp_path: Path) -> None:
    write(tmp_path, {"models/a.sql": "select 1"})
    (stamp,) = scan(tmp_path, "models", ".sql").values()
    assert contents(tmp_path, {"models/a.sql": Known(stamp, "known", LATER)}).hashes == {"models/a.sql": "known"}


@pytest.mark.parametrize("change", ["size", "modified", "changed", "inode"])
def test_any_other_stamp_is_read(tmp_path: Path, change: str) -> None:
    write(tmp_path, {"models/a.sql": "select 1"})
    (stamp,) = scan(tmp_path, "models", ".sql").values()
    values = {n: getattr(stamp, n) for n in Stamp.__slots__}
    other = Stamp(**{**values, change: values[change] - 1})
    found = contents(tmp_path, {"models/a.sql": Known(other, "known", LATER)})
    assert found.hashes == {"models/a.sql": digest(b"select 1")}
    assert found.news["models/a.sql"] == Known(stamp, digest(b"select 1"), LATER)


@pytest.mark.parametrize(("age", "trusted"), [(RACY - 1, False), (RACY, False), (RACY + 1, True), (-5 * RACY, False)])
def test_a_file_that_changed_just_before_it_was_hashed_is_hashed_again(tmp_path: Path, age: int, trusted: bool) -> None:
    """Git's racy case: another change within the clock's grain has the same time."""
    write(tmp_path, {"models/a.sql": "select 1"})
    (stamp,) = scan(tmp_path, "models", ".sql").values()
    seen = max(stamp.modified, stamp.changed) + age
    found = contents(tmp_path, {"models/a.sql": Known(stamp, "known", seen)})
    assert (found.hashes["models/a.sql"] == "known") is trusted


def test_a_file_is_learnt_again_only_once_it_can_be_trusted(tmp_path: Path) -> None:
    write(tmp_path, {"models/a.sql": "select 1"})
    (stamp,) = scan(tmp_path, "models", ".sql").values()
    changed = max(stamp.modified, stamp.changed)
    known = {"models/a.sql": Known(stamp, digest(b"select 1"), changed)}
    assert contents(tmp_path, known, now=changed + 1).news == {}
    assert contents(tmp_path, known, now=changed + RACY + 1).news["models/a.sql"].seen == changed + RACY + 1


def test_the_racy_case_in_full(tmp_path: Path) -> None:
    """Same size, same time, same inode: only hashing again tells."""
    path = tmp_path / "models" / "a.sql"
    project = loader(tmp_path, {"models/a.sql": "select 1 as x"}, cache=tmp_path / "cache.db")
    os.utime(path, ns=(5, path.stat().st_mtime_ns))
    before = project.digest()
    settled = path.stat().st_mtime_ns
    with path.open("r+") as file:
        file.write("select 2 as x")
    os.utime(path, ns=(5, settled))
    assert project.digest() != before


def test_a_file_that_vanishes_after_it_was_listed_isnt_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = loader(tmp_path, {"models/a.sql": "select 1 as x", "models/b.sql": "select 2 as x"})
    real = Path.open

    def vanish(self: Path, *args: Any, **kwargs: Any) -> object:
        if self.name == "a.sql":
            self.unlink(missing_ok=True)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", vanish)
    found = project.load()
    monkeypatch.undo()
    assert set(found.assets) == {"main.b"}
    assert found.digest == project.digest()


def test_a_file_that_vanishes_before_it_is_parsed_isnt_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its hash is known, its parse result isn't."""
    write(tmp_path, {"models/a.sql": "select 1 as x"})
    (stamp,) = scan(tmp_path, "models", ".sql").values()
    project = loader(tmp_path)
    monkeypatch.setattr(
        project._cache, "files", lambda root: {"models/a.sql": Known(stamp, digest(b"select 1 as x"), LATER)}
    )
    (tmp_path / "models" / "a.sql").unlink()
    monkeypatch.setattr(
        "anabranch.loaders.native.scan",
        lambda root, folder, suffix: {"models/a.sql": stamp} if folder == "models" else {},
    )
    found = project.load()
    assert found.assets == {}
    monkeypatch.undo()
    assert found.digest == project.digest()


def test_a_file_that_changes_before_it_is_parsed_is_taken_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, {"models/a.sql": "select 2 as x"})
    (stamp,) = scan(tmp_path, "models", ".sql").values()
    found = contents(tmp_path, {"models/a.sql": Known(stamp, digest(b"select 1 as x"), LATER)})
    assert found.text("models/a.sql") == "select 2 as x"
    assert found.hashes == {"models/a.sql": digest(b"select 2 as x")}
