"""The console examples of README.md and docs/ print what is written there; and how that is compared."""

import re
from pathlib import Path

import pytest
from scripts import docs_console as console
from tests.docs.pages import ROOT

DOCUMENTS = console.documents()


@pytest.mark.docs
@pytest.mark.parametrize("path", DOCUMENTS, ids=[p.relative_to(ROOT).as_posix() for p in DOCUMENTS])
def test_examples(path: Path) -> None:
    differences, _ = console.check(path)
    told = "\n".join(map(str, differences))
    assert not differences, (
        f"{told}\n\nif that is right: python scripts/docs_console.py --write {path.relative_to(ROOT)}"
    )


def _page(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "page.md"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_example_that_holds(tmp_path: Path) -> None:
    path = _page(tmp_path, "<!-- run: empty -->\n```console\n$ echo one; echo two >&2\none\ntwo\n```\n")
    assert console.check(path) == ([], path.read_text())


def test_an_example_that_does_not_hold_is_written_anew(tmp_path: Path) -> None:
    path = _page(tmp_path, "<!-- run: empty -->\n```console\n$ echo one\nuno\n$ echo two\ntwo\n```\nmore\n")
    (difference,), text = console.check(path)
    assert (difference.command, difference.expected, difference.actual) == ("echo one", ["uno"], ["one"])
    assert re.search(r"page\.md:2: \$ echo one\n.*\n  -uno\n  \+one", str(difference), re.DOTALL)
    assert text == "<!-- run: empty -->\n```console\n$ echo one\none\n$ echo two\ntwo\n```\nmore\n"


def test_examples_go_on_where_the_last_one_ended(tmp_path: Path) -> None:
    text = (
        "<!-- run: empty -->\n```console\n$ mkdir a && cd a\n```\n<!-- do: touch here -->\n"
        "<!-- run -->\n```console\n$ ls\nhere\n$ cat <<END\n> more\n> END\nmore\n```\n"
        "<!-- run: empty -->\n\n```console\n$ ls\n```\n"
    )
    assert console.check(_page(tmp_path, text))[0] == []


def test_exit_codes(tmp_path: Path) -> None:
    text = "<!-- run: empty -->\n```console\n$ (exit 3)  # exit code 3\n$ echo 1\n2\n$ echo a; false\n$ echo b\n```\n"
    (*_, difference), written = console.check(_page(tmp_path, f"{text}<!-- do: (exit 2) # exit code 2 -->\n"))
    assert (difference.command, difference.code, difference.wanted) == ("echo a; false", 1, 0)
    assert written.startswith(text), "what a failed command prints is not written"


def test_a_hidden_command_must_succeed(tmp_path: Path) -> None:
    text = "<!-- run: empty -->\n```console\n$ true\n```\n<!-- do: echo oh; false -->\n"
    (difference,), written = console.check(_page(tmp_path, text))
    assert difference.actual == ["oh"]
    assert written == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<!-- run: elsewhere -->\n```console\n```\n", "no such fixture"),
        ("<!-- run: empty -->\nprose\n", "no console block"),
        ("<!-- run -->\n```console\n$ ls\n```\n", "must name its fixture"),
        ("<!-- run: empty -->\n```console\nls\n```\n", "begins with a command"),
    ],
)
def test_what_cannot_be_run_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        console.check(_page(tmp_path, text))


def test_what_is_in_another_block_is_no_directive(tmp_path: Path) -> None:
    path = _page(tmp_path, "````\n<!-- run: empty -->\n```console\n$ false\n```\n````\n")
    assert console.check(path)[0] == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("prod @ 7f3c2a1   2 built, 11 reused, 0.6 s", "prod @ 0000000   2 built, 11 reused, 1 min 12 s"),
        ("database 12.1 MB", "database 900 B"),
        ("anabranch__marts.league__9f2c01d5ab37", "anabranch__marts.league__000000000000"),
        ("made just now, expires 2026-12-06", "made 3 days ago, expires 2027-01-01"),
        ("an apply in process 12 on laptop", "an apply in process 4321 on another.host"),
        ('  "seconds": 0.123,', '  "seconds": 12.0,'),
        ("at 2026-11-22 15:00 UTC", "at 2027-01-02 03:04:05 UTC"),
    ],
)
def test_what_differs_from_run_to_run_is_not_compared(one: str, other: str) -> None:
    assert console.matches([one], [other])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2 built, 11 reused", "3 built, 11 reused"),
        ("336,776 rows", "336,777 rows"),
        ("marts.league", "marts.leagues"),
        ("expires never", "expires 2026-12-06"),
        ("0.363", "0.364"),
    ],
)
def test_all_else_is(one: str, other: str) -> None:
    assert not console.matches([one], [other])


def test_builds_end_in_any_order() -> None:
    lines = ["plan", "  ✓ a.b   1 rows  0.1 s", "  ✓ a.a   2 rows  0.2 s", "  ✓ 2 views repointed"]
    assert console.matches(lines, [lines[0], lines[2], lines[1], lines[3]])
    assert not console.matches(lines, [lines[1], lines[0], lines[2], lines[3]])


@pytest.mark.parametrize(
    ("expected", "holds"),
    [
        (["a", "…", "e"], True),
        (["…", "c", "…"], True),
        (["…", "c", "d", "…", "e"], True),
        (["a", "b", "c", "…", "c", "d", "e"], False),
        (["a", "…", "d"], False),
        (["…", "x", "…"], False),
        (["b", "…"], False),
        (["a", "b", "c", "d", "e", "…"], True),
    ],
)
def test_an_ellipsis_stands_for_any_lines(expected: list[str], holds: bool) -> None:
    assert console.matches(expected, ["a", "b", "c", "d", "e"]) is holds


def test_an_id_in_a_command_is_this_runs_own(tmp_path: Path) -> None:
    made = "python -c \"import uuid; print('x @', uuid.uuid4().hex[:7])\""
    text = f"<!-- run: empty -->\n```console\n$ {made} | tee said\nx @ 0000000\n$ grep -c 0000000 said\n1\n```\n"
    assert console.check(_page(tmp_path, text))[0] == []


def test_ids_that_are_kept_are_written_as_this_runs_own(tmp_path: Path) -> None:
    text = "<!-- run: empty -->\n```console\n$ echo x @ abcdef0\nx @ abcdef0\n$ echo abcdef0 two\none\n```\n"
    _, written = console.check(_page(tmp_path, text.replace("x @ abcdef0\n$ echo abc", "x @ 1234567\n$ echo abc")))
    assert written == text.replace("\none\n", "\nabcdef0 two\n")


def test_ids_are_found_from_both_ends_of_an_ellipsis() -> None:
    expected = ["a @ aaaaaaa", "…", "b @ bbbbbbb → ccccccc"]
    actual = ["a @ 1111111", "more", "and more", "b @ 2222222 → 3333333"]
    assert console.ids(expected, actual) == {"aaaaaaa": "1111111", "bbbbbbb": "2222222", "ccccccc": "3333333"}
