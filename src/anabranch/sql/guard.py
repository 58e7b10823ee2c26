"""Queries that read, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from sqlglot import Token, TokenType, exp

from anabranch.domain.names import nearest
from anabranch.errors import AnabranchError, ModelError, Refused, SqlSyntaxError
from anabranch.sql.functions import WRITES, function_name
from anabranch.sql.syntax import INSPECTION_WORDS, QUERY_WORDS, Source, Statement, parse, split, tokenize

ErrorType = TypeVar("ErrorType", bound=AnabranchError)

_QUERIES = (exp.Select, exp.SetOperation, exp.Subquery, exp.Values, exp.Pivot, exp.Table)
_INSPECTIONS = (exp.Describe, exp.Summarize)
_DOES = {
    "creates something": "create",
    "drops something": "drop",
    "alters something": "alter",
    "writes rows": "insert update merge replace",
    "deletes rows": "delete truncate",
    "copies data in or out": "copy",
    "writes files": "export unload put",
    "runs a script": "import",
    "opens a database": "attach",
    "closes a database": "detach",
    "changes the session": "use cache uncache",
    "changes a setting": "set reset pragma",
    "calls a procedure": "call",
    "installs an extension": "install",
    "loads an extension": "load",
    "writes the database": "vacuum checkpoint force analyze",
    "writes a comment": "comment",
    "changes rights": "grant revoke",
    "begins a transaction": "begin start",
    "ends a transaction": "commit rollback abort",
    "prepares a statement": "prepare",
    "runs a prepared statement": "execute",
    "drops a prepared statement": "deallocate",
    "explains a query": "explain",
    "lists what the warehouse has": "show",
    "refreshes something": "refresh",
    "runs a block": "do",
    "locks a table": "lock",
    "declares a variable": "declare",
}
"""What statements do that are no queries, and the words that they begin with."""
_DOING = {word: doing for doing, words in _DOES.items() for word in words.split()}
_TO_READ = {
    "show": "anabranch status lists what the environment has",
    "explain": "run it on the warehouse itself",
}
_WRITING: tuple[type[exp.Expr], ...] = (
    *(exp.DML, exp.DDL, exp.Drop, exp.Alter, exp.TruncateTable, exp.Copy, exp.Command, exp.Set, exp.Into, exp.Pragma),
    *(exp.Attach, exp.Detach, exp.Use, exp.Transaction, exp.Commit, exp.Rollback, exp.Install),
)


def require_read_only(query: str, dialect: str = "duckdb") -> None:
    """Passes exactly one query that can't write; DESCRIBE and SUMMARIZE pass as well.

    Raises:
        Refused: it is something else, or it could write.
        SqlSyntaxError: it doesn't parse.
    """
    source = Source(query, dialect)
    statements = split(tokenize(source))
    if not statements:
        raise Refused("there is no query here", hint='write one: anabranch sql "from schema.name"')
    if len(statements) > 1:
        raise source.error(Refused, "a second statement begins here", statements[1][0].start, hint="run one at a time")
    check_start(source, statements[0], Refused, inspections=True)
    check_tree(parse(source, statements[0]), Refused, inspections=True)


def require_condition(condition: str, dialect: str = "duckdb") -> None:
    """Passes exactly one condition on the columns of a row: nothing that writes, and nothing that reads elsewhere. Put
    in parentheses on lines of its own, it can't reach beyond them.

    Raises:
        Refused: it is something else.
        SqlSyntaxError: it doesn't parse.
    """
    source = Source(condition, dialect)
    tokens = tokenize(source)
    if not tokens:
        raise Refused("there is no condition here", hint="write one: --where \"country = 'de'\"")
    depth = 0
    for token in tokens:
        if token.token_type is TokenType.SEMICOLON:
            raise source.error(Refused, "a condition is no statement", token.start, hint="drop the semicolon")
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if depth < 0:
            raise source.error(SqlSyntaxError, "this parenthesis closes nothing", token.start, hint="drop it")
    if depth:
        raise source.error(SqlSyntaxError, "a parenthesis isn't closed", tokens[-1].end, hint="close it with )")
    parse(source, tokens)  # for an error at its place in what was written
    whole = Source(f"SELECT 1 FROM t WHERE (\n{condition}\n)", dialect)
    statement = parse(whole, tokenize(whole))
    check_tree(statement, Refused)
    root = statement.root
    said = {name for name, value in root.args.items() if value} if isinstance(root, exp.Select) else set()
    queries = [n for n in root.walk() if isinstance(n, exp.Query) and n is not root]
    if said - {"kind"} != {"expressions", "from_", "where"} or queries:
        raise Refused("a condition is about the columns of one row, it holds no query", hint="write it without SELECT")


def check_start(source: Source, tokens: Sequence[Token], kind: type[ErrorType], *, inspections: bool = False) -> None:
    """Passes what begins as a query does.

    Raises:
        kind: it begins like another statement.
        SqlSyntaxError: it begins like nothing that is known.
    """
    first = tokens[0]
    end = first.end + 1
    word = source.text[first.start : end].split()[0].lower()
    if word in QUERY_WORDS or (inspections and word in INSPECTION_WORDS):
        return
    model = kind is ModelError
    if word in _DOING or first.token_type is TokenType.COMMAND:
        message = f"{word.upper()} {_DOING.get(word, 'is no query')}; " + (
            "a model is one SELECT" if model else "only queries are run in an environment"
        )
        hint = "write only the SELECT: Anabranch makes the table" if model else "write a SELECT"
        raise source.error(kind, message, first.start, end, _TO_READ.get(word, hint) if not model else hint)
    near = nearest(word, ["select", "with", "from", "values"])
    what = "a model" if model else "a query"
    hint = f"did you mean {near}?" if near else f"begin {what} with SELECT, WITH or FROM"
    raise source.error(SqlSyntaxError, f"{what} can't begin with {word!r}", first.start, end, hint)


def check_tree(statement: Statement, kind: type[ErrorType], *, inspections: bool = False) -> None:
    """Passes a tree in which nothing writes. Raises ``kind``."""
    source, root = statement.source, statement.root
    allowed = (*_QUERIES, *_INSPECTIONS) if inspections else _QUERIES
    if not isinstance(root, allowed):
        message, hint = "this is no query", "write a SELECT"
        raise source.error(kind, message, statement.start, statement.end, hint)
    for node in root.walk():
        if isinstance(node, _WRITING):
            start = _start(node, statement)
            word = "INTO" if isinstance(node, exp.Into) else node.key.upper()
            does = "makes a table" if word == "INTO" else _DOING.get(word.lower(), "is no query")
            raise source.error(kind, f"{word} {does}; only reading is allowed here", start, hint="write a SELECT")
        if isinstance(node, exp.Func):
            name = function_name(node, source.text)
            if name in WRITES:
                start = node.meta.get("start", statement.start)
                message = f"{name}() changes something; only reading is allowed here"
                raise source.error(kind, message, start, start + len(name), f"drop {name}()")
    for cte in root.find_all(exp.CTE):
        if not isinstance(cte.this.unnest(), (*_QUERIES, *_INSPECTIONS)):
            message = f"{cte.alias} is no query; only reading is allowed here"
            raise source.error(kind, message, _start(cte, statement), hint="write a SELECT")


def _start(node: exp.Expr, statement: Statement) -> int:
    """Where a node begins, as near as its names tell."""
    starts = [i.meta["start"] for i in node.find_all(exp.Identifier) if "start" in i.meta]
    return min(starts, default=statement.start)
