"""The statements of a model file besides its query: before it, after it, and between ``ON_VIRTUAL_UPDATE_BEGIN;`` and
``ON_VIRTUAL_UPDATE_END;``.

They may change the model's own table (``@this_model``), what lives in the session alone, and nothing else: every
environment has its own tables, and a statement that named another one would write outside of its environment. What is
allowed is told from a statement's words; a name can't be hidden from that, for a statement of a form that isn't known
here is refused.

Each becomes a template. Assets that it reads are put in as in the query; an index gets a name of its own in each
version, for an engine has only one of a name in a schema.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from sqlglot import Token, TokenType, exp

from anabranch.domain.hooks import INDEX, THIS, Statements
from anabranch.domain.names import AssetName
from anabranch.errors import ModelError
from anabranch.sql.functions import WRITES, function_name
from anabranch.sql.qualifiers import Edit
from anabranch.sql.reads import TableRead, find_reads
from anabranch.sql.rewrite import make_statement_template
from anabranch.sql.syntax import QUERY_WORDS, Source, parse, tokenize
from anabranch.sql.template import Template, cut, hole
from anabranch.sql.words import word_set

BEGIN, END = "on_virtual_update_begin", "on_virtual_update_end"
_STAND_IN = "_this_model"
"""As long as ``@this_model``, and a name to every parser."""
_SESSION = word_set("set reset pragma load analyze comment alter create insert update delete merge truncate")
_SHOWN = word_set("grant revoke comment alter")
_TEMPORARY = ("temp", "temporary")
_FOREIGN_PRAGMAS = word_set("create_fts_index drop_fts_index checkpoint force_checkpoint import_database copy_database")
_HINT = "write only to @this_model, or to something TEMP; what concerns all of the warehouse belongs into before_all"
_HINT_SHOWN = "grant, revoke, comment or alter @this_model"
_CHANGES = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Copy, exp.Drop, exp.TruncateTable)
_Words = Sequence[str]


@dataclass(slots=True)
class Around:
    """What stands around a query. ``query``: its tokens, None where there is none."""

    query: Sequence[Token] | None = None
    statements: Statements = field(default_factory=Statements)
    reads: list[TableRead] = field(default_factory=list)
    """Of the statements before and after."""
    temporary: frozenset[str] = frozenset()
    """Names of tables that live in the session: the query may read them, and they are no assets."""
    said: str = ""
    """What of the statements before and after decides the data, in a form that spacing and comments don't change."""
    index: Sequence[Token] | None = None
    """The first statement that makes an index."""
    shown: str = ""
    """The same, of those that run when the view is made."""


def around(source: Source, statements: Sequence[Sequence[Token]], default_schema: str) -> Around:
    """Tells a file's query from the statements around it.

    Raises:
        ModelError: a second query, a statement that isn't allowed, or a block that isn't closed.
        SqlSyntaxError: one that doesn't parse.
    """
    if len(statements) < 2 and not (statements and _word(source, statements[0]) == BEGIN):
        return Around(statements[0] if statements else None)
    return _Reader(source, default_schema).read(statements)


@dataclass(slots=True)
class _Reader:
    source: Source
    default_schema: str
    temporary: set[str] = field(default_factory=set)
    reads: list[TableRead] = field(default_factory=list)

    def read(self, statements: Sequence[Sequence[Token]]) -> Around:
        before: list[Sequence[Token]] = []
        after: list[Sequence[Token]] = []
        shown: list[Sequence[Token]] = []
        query: Sequence[Token] | None = None
        opened: Token | None = None
        for tokens in statements:
            word = _word(self.source, tokens)
            if word in (BEGIN, END):
                if (word == BEGIN) == (opened is not None) or len(tokens) > 1:
                    raise self._error(
                        tokens, f"{word.upper()} doesn't fit here", f"write {BEGIN.upper()}; … {END.upper()};"
                    )
                opened = tokens[0] if word == BEGIN else None
            elif opened is not None:
                shown.append(tokens)
            elif word in QUERY_WORDS and query is not None:
                token = tokens[0]
                message, hint = "a second statement begins here; a model is one query", "make it a model of its own"
                raise self.source.error(ModelError, message, token.start, token.end + 1, hint)
            elif word in QUERY_WORDS:
                query = tokens
            else:
                (after if query is not None else before).append(tokens)
        if opened is not None:
            raise self._error([opened], "the block that opens here isn't closed", f"close it with {END.upper()};")
        if query is None and (before or after):
            return Around(before[0])  # whoever called says what is wrong with it
        templates = [tuple(self._template(t, shown=False) for t in part) for part in (before, after)]
        told = Statements(templates[0], templates[1], tuple(self._template(t, shown=True) for t in shown))
        index = next((t for t in (*before, *after) if "index" in [_text(self.source, w).lower() for w in t[:3]]), None)
        return Around(
            query,
            told,
            self.reads,
            frozenset(self.temporary),
            self._said(before, after),
            index,
            self._said(shown) if shown else "",
        )

    def _said(self, *parts: Sequence[Sequence[Token]]) -> str:
        if not any(parts):
            return ""
        return "\n--\n".join(
            ";\n".join(" ".join(_canonical(self.source, t) for t in tokens) for tokens in part) for part in parts
        )

    def _error(self, tokens: Sequence[Token], message: str, hint: str) -> ModelError:
        return self.source.error(ModelError, message, tokens[0].start, tokens[-1].end + 1, hint)

    def _template(self, tokens: Sequence[Token], *, shown: bool) -> Template:
        words = [_text(self.source, t).lower() for t in tokens]
        own = [t.start for t, n in pairwise(tokens) if _is_this(self.source, t, n)]
        hint = _HINT_SHOWN if shown else _HINT
        if words[0] not in (_SHOWN if shown else _SESSION):
            when = "when the view is made" if shown else "around a query"
            raise self._error(tokens[:1], f"{words[0].upper()} isn't run {when}", hint)
        flat = _joined(words, tokens, set(own))
        wrong = self._wrong(flat)
        if wrong:
            raise self._error(tokens, wrong, hint)
        edits = [Edit(start, start + len(THIS), hole(AssetName(THIS))) for start in own]
        edits += _index_name(self.source, tokens, flat)
        begin, end = tokens[0].start, tokens[-1].end + 1
        if words[0] not in ("create", "insert", "update", "delete", "merge") or "index" in flat[:3]:
            return cut(_edited(self.source.text, begin, end, edits))
        return self._parsed(tokens, set(own), edits)

    def _wrong(self, words: _Words) -> str | None:
        """Why a statement isn't allowed. ``words``: in lower case, with ``@this_model`` as one."""
        first = words[0]
        target = _target(words)
        if first in ("set", "reset", "load", "grant", "revoke"):
            if first in ("grant", "revoke") and target != THIS:
                return f"{first.upper()} names something other than @this_model"
            return None
        if first == "pragma":
            return (
                f"PRAGMA {words[1]} writes outside of the session"
                if words[1:2] and words[1] in _FOREIGN_PRAGMAS
                else None
            )
        if first == "analyze" and len(words) == 1:
            return None
        if first == "truncate" and "," in words:
            return "TRUNCATE names more than @this_model"
        if first == "create":
            rest = [w for w in words[1:] if w not in ("or", "replace")]
            if rest and rest[0] in _TEMPORARY:
                self._remember(rest)
                return None
            if target is None:
                return "CREATE makes something that outlives the session"
        if first == "alter" and {("rename", "to"), ("set", "schema")} & set(pairwise(words)):
            return "ALTER moves @this_model to where nobody finds it"
        if target == THIS or (target is not None and target in self.temporary and first != "comment"):
            return None
        named = f"{target} " if target else ""
        return f"{first.upper()} changes {named or 'something '}other than @this_model".replace("  ", " ")

    def _remember(self, words: _Words) -> None:
        """The name of what ``CREATE TEMP`` makes."""
        rest = [w for w in words[2:] if w not in ("if", "not", "exists")]
        if rest and words[1] in ("table", "view"):
            self.temporary.add(rest[0].strip('"'))

    def _parsed(self, tokens: Sequence[Token], own: set[int], edits: list[Edit]) -> Template:
        """With the assets that it reads."""
        plain = _without_marks(self.source, tokens)
        inner = [t for t in tokenize(plain) if tokens[0].start <= t.start <= tokens[-1].end]
        statement = parse(plain, inner)
        if isinstance(statement.root, exp.Command):
            raise self._error(tokens, "this statement is of a form in which names can't be followed", _HINT)
        for change in statement.root.find_all(*_CHANGES):
            if change is not statement.root and change.find_ancestor(exp.When) is None:
                raise self._error(tokens, f"a {change.key.upper()} stands within the {tokens[0].text.upper()}", _HINT)
        for node in statement.root.find_all(exp.Func):
            name = function_name(node, plain.text)
            if name in WRITES:
                raise self._error(tokens, f"{name}() changes something", f"drop {name}()")
        made = {id(t) for t in _made(statement.root)}
        found = [
            r
            for r in find_reads(statement).reads
            if r.start not in own
            and id(r.node) not in made
            and not (len(r.parts) == 1 and r.parts[0] in self.temporary)
        ]
        self.reads += found
        return make_statement_template(statement, found, self.default_schema, edits)


def _made(root: exp.Expr) -> list[exp.Expr]:
    """The tables that a statement makes or writes to."""
    target = root.args.get("this")
    return [target, *target.find_all(exp.Table)] if isinstance(target, exp.Expression) else []


def _target(words: _Words) -> str | None:
    """What a statement changes, as far as its form is known."""
    rest = [w for w in words if w not in ("if", "not", "exists", "only")]
    match rest:
        case ["comment", "on", _, name, *_] | ["alter", "table" | "view", name, *_]:
            return name
        case ["update" | "analyze", name, *_] | ["truncate", "table", name, *_] | ["delete" | "merge", _, name, *_]:
            return name
        case ["truncate", name, *_]:
            return name
        case ["insert", "into", name, *_] | ["insert", "or", _, "into", name, *_]:
            return name
        case ["create", "index", _, "on", name, *_] | ["create", "unique", "index", _, "on", name, *_]:
            return name if name == THIS else None
        case ["create", "index", "on", name, *_] | ["create", "unique", "index", "on", name, *_]:
            return name if name == THIS else None
        case ["grant" | "revoke", *_] if "on" in rest:
            after = rest[rest.index("on") + 1 :]
            after = after[1:] if after[:1] and after[0] in ("table", "view") else after
            return after[0] if after[1:2] and after[1] in ("to", "from") else None
        case _:
            return None


def _joined(words: _Words, tokens: Sequence[Token], own: set[int]) -> list[str]:
    """The words, with ``@this_model`` as one, and a dotted name as one."""
    found: list[str] = []
    skip = dotted = False
    for word, token in zip(words, tokens, strict=True):
        if skip:
            skip = False
        elif token.start in own:
            found.append(THIS)
            skip = True
        elif word == "." and found:
            dotted = True
        elif dotted:
            if found[-1] != THIS:
                found[-1] += f".{word}"
            dotted = False
        else:
            found.append(word)
    return found


def _index_name(source: Source, tokens: Sequence[Token], words: _Words) -> list[Edit]:
    """The place of an index's name."""
    if words[0] != "create" or "index" not in words[:3]:
        return []
    rest = [t for t in tokens if _text(source, t).lower() not in ("create", "unique", "index", "if", "not", "exists")]
    if _text(source, rest[0]).lower() == "on":
        return []
    return [Edit(rest[0].start, rest[0].end + 1, hole(AssetName(INDEX + rest[0].text)))]


def _without_marks(source: Source, tokens: Sequence[Token]) -> Source:
    """The source with a plain name of the same length for each ``@this_model``."""
    text = source.text
    for token, following in pairwise(tokens):
        if _is_this(source, token, following):
            text = text[: token.start] + _STAND_IN + text[token.start + len(THIS) :]
    return Source(text, source.dialect, source.path, source.asset)


def _is_this(source: Source, token: Token, following: Token) -> bool:
    joined = source.text[token.start : following.end + 1].lower()
    return joined == THIS and following.start == token.start + 1


def _edited(text: str, begin: int, end: int, edits: Sequence[Edit]) -> str:
    parts: list[str] = []
    for edit in sorted(edits, key=lambda e: e.start):
        parts += [text[begin : edit.start], edit.text]
        begin = edit.end
    return "".join([*parts, text[begin:end]])


def _word(source: Source, tokens: Sequence[Token]) -> str:
    text = _text(source, tokens[0]).split()
    return text[0].lower() if text else ""


def _text(source: Source, token: Token) -> str:
    return source.text[token.start : token.end + 1]


def _canonical(source: Source, token: Token) -> str:
    text = _text(source, token)
    return text if token.token_type is TokenType.STRING or not re.match(r"[A-Za-z_]", text) else text.lower()


def put_environment(text: str, dialect: str, environment: str) -> str:
    """``text`` with the environment's name, as a text, for each ``@this_env``. Raises ``SqlSyntaxError``."""
    if "@this_env" not in text.lower():
        return text
    source = Source(text, dialect)
    edits = [
        Edit(one.start, two.end + 1, f"'{environment}'")
        for one, two in pairwise(tokenize(source))
        if text[one.start : two.end + 1].lower() == "@this_env"
    ]
    return _edited(text, 0, len(text), edits)
