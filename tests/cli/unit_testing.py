"""What the tests of `anabranch test` share."""

TOP = """\
test_top:
  model: marts.top
  inputs:
    marts.revenue:
      - {name: Germany, revenue: 40}
      - {name: France, revenue: 2.5}
  outputs:
    query:
      - {name: Germany}
"""


def of(query: str, rows: str, shop, inputs: str = "", more: str = "") -> str:
    """A test of a model that is this query."""
    shop.write("models/m.sql", query)
    given = f"  inputs:\n{inputs}" if inputs else ""
    return f"t:\n  model: m\n{given}  outputs:\n    query: {rows}\n{more}"
