"""anabranch diff --rows: what it shows on a terminal, as JSON and as a page."""

import json
import re
from html.parser import HTMLParser

import pytest
from inline_snapshot import snapshot

from anabranch.cli.report.cells import cell, figure, figures, share
from anabranch.cli.report.charts import bar, bars, distribution

EVIL = "<script>alert('x')</script>&\"quoted\""
BEFORE = """\
MODEL (name marts.wide, kind FULL, grain id);

SELECT id, country, amount, 'same' AS sort, CAST(NULL AS INTEGER) AS nothing, id AS a, id AS b, id AS c, id AS d
FROM raw.orders
"""
AFTER = f"""\
MODEL (name marts.wide, kind FULL, grain id);

SELECT
  id,
  CASE WHEN id % 10 = 0 THEN {"'" + EVIL.replace("'", "''") + "'"} ELSE country END AS country,
  CASE WHEN id = 7 THEN CAST('nan' AS DOUBLE) ELSE amount END AS amount,
  'same' AS sort,
  1 AS nothing,
  id + 1 AS a,
  id + CAST(id < 50 AS INTEGER) AS b,
  CAST(id AS VARCHAR) AS c,
  true AS "e<b>"
FROM raw.orders
WHERE id <> 5
"""


@pytest.fixture
def changed(applied):
    """A table that changed in all ways there are."""
    applied.write("models/marts/wide.sql", BEFORE)
    assert applied.call("apply", "prod", "--yes").code == 0
    applied.branch("feature")
    applied.write("models/marts/wide.sql", AFTER)
    applied.replace("models/marts/top.sql", "LIMIT 1", "LIMIT 2")
    assert applied.call("apply").code == 0
    return applied


def test_on_a_terminal(changed, anabranch):
    said = anabranch("diff", "--rows", "--select", "marts.wide", "--sample", "2")
    assert said.err == ""
    assert changed.plain(said.out) == snapshot("""\
~ marts.wide                      99 rows, 0 added, 1 removed, 99 changed by key
    ~ amount DECIMAL(21,1) → DOUBLE
    ~ c BIGINT → VARCHAR
    + e<b> BOOLEAN
    - d BIGINT
    column     match   changed in
    nothing    0.0 %      99 rows
    a          0.0 %      99 rows
    b         50.5 %      49 rows
    country   89.9 %      10 rows
    amount    99.0 %        1 row
    id   column          prod                                feature
    0    country           de   <script>alert('x')</script>&"quoted"
    0    nothing            –                                      1
    0    a                  0                                      1
    0    b                  0                                      1
    1    nothing            –                                      1
    1    a                  1                                      2
    1    b                  1                                      2
    5    (row is gone)
1 asset differs from prod @ <commit>, 0 are the same
""")


def test_a_profile_on_a_terminal(changed, anabranch):
    said = anabranch("diff", "--profile", "--select", "marts.wide", "--sample", "0")
    assert changed.plain(said.out).split("    profile")[1] == snapshot("""\
 (prod → feature where they differ)
    column      match             nulls   distinct                         min        max            mean
    id              –             0.0 %   100 → 99                           0         99   49.5 → 49.949
    country    89.9 %             0.0 %      3 → 4   de → <script>alert('x')<…         it               –
    amount     99.0 %             0.0 %      7 → 8                          -1    5 → nan        1.95 → –
    sort      100.0 %             0.0 %          1                        same       same               –
    nothing     0.0 %   100.0 % → 0.0 %      0 → 1                       – → 1      – → 1           – → 1
    a           0.0 %             0.0 %   100 → 99                       0 → 1   99 → 100   49.5 → 50.949
    b          50.5 %             0.0 %   100 → 98                       0 → 1         99   49.5 → 50.444
    c         100.0 %             0.0 %   100 → 99                           0         99        49.5 → –
    e<b>            –             0.0 %          1                        true       true               –
    d               –             0.0 %        100                           0         99            49.5
1 asset differs from prod @ <commit>, 0 are the same
""")


def test_more_than_a_screenful_is_cut(changed, anabranch):
    columns = ", ".join(f"id + {{}} AS column_{i}" for i in range(60))
    for environment, number in (("prod", 0), ("feature", 1)):
        changed.write(
            "models/marts/wide.sql", f"MODEL (name marts.wide, kind FULL, grain id); SELECT id, {columns} FROM raw.orders"
            .replace("{}", str(number)),
        )  # fmt: skip
        assert anabranch("apply", environment, "--yes").code == 0
    said = anabranch("diff", "feature", "--select", "marts.wide", "--profile").out.splitlines()
    assert len(said) < 110
    assert "    … and 48 more columns: --html or --json has them all" in said
    assert "    … and 21 more columns: --html or --json has them all" in said
    assert re.search(r"^    0 +… and 54 more columns$", "\n".join(said), re.MULTILINE)


def test_what_is_asked_for(changed, anabranch):
    def asked(*options: str) -> dict:
        said = anabranch("diff", *options, "--json")
        assert said.code == 0, said
        found: dict = said.json
        return found

    assert asked()["assets"][0]["rows"] is None
    for options in (["--rows"], ["--key", "id"], ["--profile"], ["--tolerance", "0.5"], ["--where", "true"]):
        assert asked(*options)["assets"][0]["rows"] is not None, options
    assert [a["asset"] for a in asked("--select", "marts.top", "--select", "marts.wide")["assets"]] == [
        "marts.top",
        "marts.wide",
    ]
    (found,) = asked("--select", "marts.top", "--key", "name")["assets"]
    assert (found["rows"]["by"], found["rows"]["keys"], found["rows"]["added"]) == ("key", ["name"], 1)
    found = asked("--select", "marts.wide", "--where", "id < 10", "--select", "marts.revenue")
    assert (found["where"], found["same"], len(found["assets"])) == ("id < 10", 1, 1)
    assert (found["assets"][0]["rows"]["before"], found["assets"][0]["rows"]["removed"]) == (10, 1)
    amount = next(c for c in found["assets"][0]["rows"]["columns"] if c["name"] == "amount")
    assert (amount["profile_after"]["max"], amount["profile_after"]["mean"]) == ("nan", None)
    json.dumps(found, allow_nan=False)
    assert anabranch("diff", "--against", "prod", "--json").json == asked()
    assert anabranch("diff", "prod", "--against", "feature", "--json").json["other"] == "feature"


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["feature", "prod", "--against", "prod"], 2, "OTHER and --against are the same"),
        (["--key", " , "], 2, "name at least one column"),
        (["--where", ""], 2, "there is no condition"),
        (["--where", "true; DROP TABLE raw.orders"], 1, "a condition is no statement"),
        (["--where", "id IN (SELECT 1)"], 1, "it holds no query"),
        (["--where", "idd = 1", "--select", "marts.wide"], 2, "the condition doesn't fit"),
        (["--tolerance", "-1"], 2, "-1"),
        (["--select", "marts.wid"], 2, "did you mean marts.wide?"),
        (["--html", "no/such/folder/diff.html"], 1, "can't be written"),
    ],
)
def test_what_is_refused(changed, anabranch, options, code, told):
    with changed.unchanged():
        said = anabranch("diff", *options)
    assert (said.code, said.out) == (code, "")
    assert told in said.err


# --- the page


class Page(HTMLParser):
    """What a browser would take for elements, and the text in them."""

    VOID = frozenset({"meta", "br", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def page(changed, anabranch) -> Page:
    said = anabranch("diff", "--html", "diff.html")
    assert said.out.endswith("written: diff.html\n")
    return Page((changed.root / "diff.html").read_text(encoding="utf-8"))


def test_the_page_needs_nothing_and_runs_nothing(page):
    assert page.open == [], "every element is closed"
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "img", "link", "iframe", "object", "base", "form", "b"}
    assert {"svg", "table", "style", "details"} <= names
    for _, attributes in page.tags:
        assert not {name for name in attributes if name.startswith("on") or name in ("src", "style")}
        assert (attributes.get("href") or "#").startswith("#")
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    style = "".join(page.words)
    assert "prefers-color-scheme: dark" in style
    assert "url(" not in style
    assert "@import" not in style


def test_the_page_says_what_differs(page):
    words = page.words
    assert EVIL in words, "as a text"
    assert "e<b>" in words
    for told in ("marts.wide", "marts.top", "50.5 %", "new column", "Changed rows, 5 of 99", "Removed rows, 1 of 1"):
        assert any(told in w for w in words), told
    links = [a["href"] for t, a in page.tags if t == "a"]
    assert links == [f"#{a['id']}" for t, a in page.tags if t == "h2"]


# --- figures


def test_shares_are_never_rounded_to_all_or_nothing():
    told = [share(s) for s in (None, 0.0, 1.0, 0.5, 0.99999999, 0.9999, 0.00001, 1e-9)]
    assert told == ["–", "0.0 %", "100.0 %", "50.0 %", "> 99.999 %", "99.99 %", "0.001 %", "< 0.001 %"]


def test_cells_stay_on_their_line():
    assert cell("a\nb\x1b[31m\u202e\ud800") == "a\\nb\\x1b[31m\\u202e\\ud800"
    assert (cell(None), cell(True), cell("x" * 50, 10), cell(1.5)) == ("–", "true", "x" * 9 + "…", "1.5")
    assert [figure(v) for v in (1234567, 1234567.8, 2000.0, 0.1 + 0.2, 1e300, True, "2020-01-01")] == [
        "1,234,567", "1,234,567.8", "2,000", "0.3", "1e+300", "true", "2020-01-01",
    ]  # fmt: skip


def test_means_that_were_added_up_in_another_order_are_the_same():
    assert figures(0.02954375, 0.029543749999999998) == ("0.029544", "0.029544")
    assert figures(0.02954, 0.02955) == ("0.02954", "0.02955")
    assert figures(1, 2) == ("1", "2")
    assert figures(None, 2.5) == ("–", "2.5")


def test_charts_draw_shares_and_escape_what_they_name():
    assert 'class="match" width="90' in bar(1.0)
    assert 'class="miss" width="89' in bar(0.999999), "what isn't whole doesn't look whole"
    assert 'class="miss" width="1' in bar(0.000001)
    assert 'class="miss" width="0' in bar(0.0)
    assert bars([0.0, None]) == bars([None, None]) == ""
    assert bars([0.5, None]).count("<rect") == 2
    drawn = distribution([("<b>", 1, 0), ("x", 1, 4)], 2, 4)
    assert "<b>" not in drawn
    assert re.findall(r'class="(before|after)".*?width="([\d.]+)"', drawn) == [
        ("before", "70.0"), ("after", "0.0"), ("before", "70.0"), ("after", "140.0"),
    ]  # fmt: skip
    assert "<rect" not in distribution([], 0, 0)
    assert distribution([("x", 0, 0)], 0, 0)
