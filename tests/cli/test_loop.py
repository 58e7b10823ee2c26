"""The whole loop, by the commands that people type."""

from inline_snapshot import snapshot


def test_the_daily_loop(shop, anabranch):
    shop.replace("anabranch.yaml", "patience: 5s", "patience: 5s, workers: 1")
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 0
    assert shop.plain(said.err) == snapshot("""\
prod is new

  build    marts.revenue     new
  build    marts.top         new
  build    seeds.countries   new
  build    stg.orders        new
  define   core.valid        new
  define   raw.orders        new

  4 to build, 0 reused, 2 defined
  ✓ seeds.countries                            3 rows <time>
  ✓ stg.orders <time>
  ✓ marts.revenue                              3 rows <time>
  ✓ marts.top                                  1 rows <time>
  ✓ 4 views repointed <time>
""")
    assert shop.plain(said.out) == snapshot("prod @ <commit>   4 built, 0 reused, <time>\n")
    assert shop.run_sql("SELECT * FROM marts.top") == [("Germany",)]

    shop.branch("feature/no-limit")
    shop.replace("models/marts/top.sql", "LIMIT 1", "LIMIT 2")
    assert shop.plain(anabranch("status").out) == snapshot("""\
feature_no_limit   not created yet, would start from prod @ <commit>
  1 of 6 assets differs from prod @ <commit>
  1 asset to apply: 1 to build, 5 reused
    marts.top (changed)
  next: anabranch apply
""")
    assert shop.plain(anabranch("plan", "--explain").out) == snapshot("""\
feature_no_limit is new, from prod @ <commit>

  build   marts.top   changed: limit changed
  reuse   5 assets as they are

  shares <size>, holds 0 B alone (a copy: <size>)
  1 to build, 5 reused
next: anabranch apply
""")
    said = anabranch("apply")
    assert said.code == 0
    assert shop.plain(said.err) == snapshot("""\
feature_no_limit is new, from prod @ <commit>

  build   marts.top   changed
  reuse   5 assets as they are

  1 to build, 5 reused
  ✓ marts.top                                  2 rows <time>
  ✓ 5 views repointed <time>
""")
    assert shop.plain(said.out) == snapshot("""\
feature_no_limit @ <commit>   1 built, 5 reused, <time>
next: anabranch diff · anabranch promote
""")
    assert len(shop.run_sql("SELECT * FROM marts.top")) == 1, "prod is as it was"
    assert len(shop.run_sql("SELECT * FROM marts__feature_no_limit.top")) == 2
    assert len(shop.run_sql("SELECT * FROM raw__feature_no_limit.orders")) == 100, "the environment is complete"

    assert shop.plain(anabranch("diff").out) == snapshot("""\
~ marts.top                       1 → 2 rows
1 asset differs from prod @ <commit>, 5 are the same
next: anabranch diff --rows
""")
    assert shop.plain(anabranch("diff", "--rows").out) == snapshot("""\
~ marts.top                       2 rows, 1 added, 0 removed
    note: no key is declared (grain) or named (--key), so rows are compared as wholes
       name
    +  France
1 asset differs from prod @ <commit>, 5 are the same
""")
    assert anabranch("diff", "--exit-code").code == 1
    assert anabranch("diff", "prod", "prod", "--exit-code").code == 0
    said = anabranch("sql", "select * from marts.top order by 1")
    assert said.out == snapshot("""\
name
France
Germany
""")
    assert said.err == snapshot("(2 rows)\n")
    assert anabranch("sql", "-e", "prod", "--csv", "select * from marts.top").out == "name\nGermany\n"

    said = anabranch("promote", "--yes")
    assert said.code == 0
    assert shop.plain(said.out) == snapshot("""\
prod @ <commit> → <commit>   1 asset repointed, 0 rebuilt, <time>
undo: anabranch undo prod
""")
    assert len(shop.run_sql("SELECT * FROM marts.top")) == 2
    assert shop.plain(anabranch("status").out) == snapshot("""\
feature_no_limit @ <commit>   by Ada, made just now
  0 of 6 assets differ from prod @ <commit>
  6 assets as the files say
  shares <size>, holds 0 B alone (a copy: <size>)
""")

    said = anabranch("undo", "--yes")
    assert said.code == 0
    assert shop.plain(said.out) == snapshot("""\
prod @ <commit> → <commit>   1 asset as before, 0 rebuilt, <time>
and back: anabranch restore prod <commit>
""")
    assert len(shop.run_sql("SELECT * FROM marts.top")) == 1

    commit = anabranch("log", "prod", "--json").json[1]["commit"]
    said = anabranch("restore", "prod", commit[:7], "--yes")
    assert said.code == 0
    assert shop.plain(said.out) == snapshot("""\
prod @ <commit> → <commit>   1 asset as before, 0 rebuilt, <time>
and back: anabranch restore prod <commit>
""")
    assert len(shop.run_sql("SELECT * FROM marts.top")) == 2
    assert shop.plain(anabranch("log", "prod").out) == snapshot("""\
<commit>   just now   Ada   1 asset    restore <commit>
<commit>   just now   Ada   1 asset    undo <commit> (promote feature_no_limit)
<commit>   just now   Ada   1 asset    promote feature_no_limit
<commit>   just now   Ada   6 assets   apply
""")

    assert shop.plain(anabranch("env").out) == snapshot("""\
prod               <commit>   changed just now   Ada   6 assets                            protected
feature_no_limit   <commit>   changed just now   Ada   6 assets, 0 differ from the trunk
""")
    assert shop.plain(anabranch("env", "show").out) == snapshot("""\
feature_no_limit @ <commit>   6 assets, 0 differ from the trunk
  from      prod
  branch    feature/no-limit
  owner     Ada
  made      just now
  expires   never

  embedded   core.valid
  full       marts.revenue     anabranch__marts.revenue__<version>
  full       marts.top         anabranch__marts.top__<version>
  external   raw.orders
  seed       seeds.countries   anabranch__seeds.countries__<version>
  view       stg.orders        anabranch__stg.orders__<version>
""")
    assert shop.plain(anabranch("env", "create", "what_if", "--ttl", "3d").out) == snapshot(
        "what_if @ <commit>   6 assets, nothing copied, <time>\n"
    )
    assert len(shop.run_sql("SELECT * FROM marts__what_if.top")) == 2
    assert shop.plain(anabranch("env", "drop", "what_if").out) == snapshot("what_if dropped: 5 views removed, <time>\n")
    assert shop.plain(anabranch("env", "drop", "feature_no_limit").out) == snapshot(
        "feature_no_limit dropped: 5 views removed, <time>\n"
    )
    assert not [row for row in shop.catalog() if "__feature" in str(row) or "__what" in str(row)]

    assert shop.plain(anabranch("gc", "--dry-run").out) == snapshot(
        "0 tables would be dropped, 0 rows; database <size>\n"
    )
    assert shop.plain(anabranch("gc").out) == snapshot("0 tables dropped, 0 rows; database <size>\n")
    said = anabranch("doctor")
    assert said.code == 0
    assert shop.plain(said.out).splitlines()[1:] == snapshot(
        [
            "✓ state: <root>/.anabranch/state.db: 1 environment",
            "✓ project: 6 assets",
            "✓ warehouse: <root>/shop.duckdb, <size>",
            "✓ git: branch feature/no-limit is environment feature_no_limit",
            "✓ interrupted: nothing",
            "✓ drift in prod: none",
        ]
    )


def test_what_is_applied_again_is_nothing(applied, anabranch):
    with applied.unchanged():
        said = anabranch("apply", "prod", "--yes")
        assert said.code == 0
        assert applied.plain(said.out) == snapshot("""\
prod @ <commit>

  nothing to do: 6 assets as they should be
""")
        assert applied.plain(anabranch("plan", "prod").out) == snapshot("""\
prod @ <commit>

  shares <size>, holds <size> alone (a copy: <size>)
  nothing to do: 6 assets as they should be
""")
        assert anabranch("status", "prod", "--json").json["plan"]["empty"]


def test_a_comment_builds_nothing(applied, anabranch):
    applied.branch("tidy")
    applied.replace("models/marts/top.sql", "SELECT name", "-- the best\nselect  name")
    built = applied.physical()
    said = anabranch("apply", "--json")
    assert said.json["built"] == []
    assert applied.physical() == built


def test_a_branch_back_at_the_old_code_builds_nothing(applied, anabranch):
    applied.branch("feature")
    applied.replace("models/marts/top.sql", "LIMIT 1", "LIMIT 2")
    assert anabranch("apply", "--json").json["built"] == ["marts.top"]
    applied.branch("main")
    said = anabranch("apply", "--yes", "--json")
    assert said.json["built"] == []
    assert said.json["reused_builds"] == []


def test_an_empty_folder(home, anabranch):
    said = anabranch("init")
    assert said.code == 0
    assert said.out == snapshot("""\
  + anabranch.yaml
  + seeds/example.csv
  + models/marts/example.sql
  + .gitignore
next: anabranch apply prod
""")
    assert anabranch("apply", "prod", "--yes").code == 0
    assert anabranch("sql", "-e", "prod", "--csv", "from marts.example").out == "id,name\n1,ONE\n2,TWO\n3,THREE\n"
    before = {p: p.read_bytes() for p in home.rglob("*.sql")}
    said = anabranch("init")
    assert said.code == 1
    assert said.err == snapshot("""\
✗ anabranch.yaml is here already
  next: anabranch status
""")
    assert {p: p.read_bytes() for p in home.rglob("*.sql")} == before
