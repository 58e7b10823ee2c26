"""A small DuckDB database: the same tables under logical and under physical names."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import duckdb

from anabranch.domain.names import AssetName
from anabranch.ports.engine import Relation

TABLES = {
    "sales.orders": """select * from (values
        (1, 'ann', 10.5, date '2024-01-01', {'city': 'Ulm', 'Zip': 89073}, [1, 2, 3]),
        (2, 'bob', 20.0, date '2024-01-02', {'city': 'Bonn', 'Zip': 53111}, [4]),
        (3, 'ann', 30.25, date '2024-02-01', {'city': 'Ulm', 'Zip': 89075}, []),
        (4, null, null, date '2024-02-03', null, null),
        (5, 'cid', 5.0, date '2024-03-01', {'city': 'Kiel', 'Zip': 24103}, [2, 2])
      ) as t(id, customer, Amount, ordered, address, items)""",
    "old.orders": "select * from (values (1, 'old', 1.0), (9, 'older', 2.0)) as t(id, customer, amount)",
    "main.orders": "select * from (values (7, 'seven'), (8, 'eight')) as t(id, label)",
    "sales.items": "select * from (values (1, 'pen', 1.5), (2, 'ink', 4.0), (3, 'pad', 2.5), (4, 'cap', 0.5)) as t(id, name, price)",
    "sales.prices": """select * from (values ('pen', timestamp '2024-01-01', 1.0), ('pen', timestamp '2024-01-15', 2.0),
        ('ink', timestamp '2024-01-01', 4.0)) as t(name, since, price)""",
    "sales.customers": "select * from (values ('ann', 'Ulm', null), ('bob', 'Bonn', 'ann'), ('cid', null, 'bob')) as t(name, city, referrer)",
    "sales.months": "select * from (values (1, 10, 20, 30), (2, 5, null, 15)) as t(id, jan, feb, mar)",
}
EMBEDDED = {
    "sales.big": "select * from sales.orders where amount > 10 -- the big ones",
    "sales.biggest": "with orders as (select * from sales.big) select * from orders where orders.amount > 25",
    "sales.named": "select o.id, orders.label, orders from sales.orders as o join orders on orders.id = o.id + 5",
}
TARGETS = {
    AssetName(name): Relation("anabranch__" + name.split(".")[0], name.split(".")[1] + "__0123456789ab")
    for name in TABLES
}


def logical(connection: duckdb.DuckDBPyConnection) -> None:
    """Tables under the names that queries use; embedded models as views."""
    for name, query in TABLES.items():
        connection.execute(f"create schema if not exists {name.split('.')[0]}")
        connection.execute(f"create table {name} as {query}")
    for name, query in EMBEDDED.items():
        # In a view, DuckDB looks for bare names in the view's own schema first; here they stand in the default one.
        connection.execute(f"create view {name} as {query.replace('join orders', 'join main.orders')}")


def physical(connection: duckdb.DuckDBPyConnection) -> None:
    """The same tables under the names that Anabranch gives them, and nothing else."""
    for name, query in TABLES.items():
        target = TARGETS[AssetName(name)]
        connection.execute(f'create schema if not exists "{target.schema}"')
        connection.execute(f'create table "{target.schema}"."{target.name}" as {query}')


@contextmanager
def database(*fill: Callable[[duckdb.DuckDBPyConnection], None]) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    try:
        for each in fill:
            each(connection)
        yield connection
    finally:
        connection.close()


def answer(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[list[str], list[str]]:
    """Column names, and rows in a fixed order."""
    connection.execute("select setseed(0.5)").fetchall()
    found = connection.execute(query)
    names = [d[0] for d in found.description or ()]
    return names, sorted(map(repr, found.fetchall()))
