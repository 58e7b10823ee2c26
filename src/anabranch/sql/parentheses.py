"""Which parentheses of a query group only what is grouped anyway.

Told from the words alone, by the precedence that SQL's engines agree about: ``or``, ``and``, ``not``, predicates,
comparisons, sums, products. A pair is redundant where it fills a place between delimiters (``where (…) group``), or
where all operators in it bind tighter than those beside it. With any other operator near, it stays: ``(a -> 'b') =
c`` isn't ``a -> 'b' = c``.
"""

from __future__ import annotations

from collections.abc import Sequence

from anabranch.sql.words import word_set

OR, AND, NOT, PREDICATE, COMPARISON, SUM, PRODUCT, UNIT, ATOM = range(1, 10)
UNKNOWN = 0
_OPERATORS = {"or": OR, "and": AND, "+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "//": PRODUCT, "%": PRODUCT}
_OPERATORS |= dict.fromkeys(("=", "==", "<>", "!=", "<", ">", "<=", ">="), COMPARISON)
_LEFT_TO_RIGHT = frozenset([OR, AND, SUM, PRODUCT])
_BEFORE = word_set("( [ , select distinct where having qualify on by case when then else")
"""What begins a place that one expression fills."""
_AFTER = word_set(
    """) ] , from where group having qualify order limit offset window union except intersect when then else end as asc
    desc nulls"""
)
_JOINS = word_set("join left right full inner cross natural asof positional semi anti")
"""What ends one; the end of the text does as well."""
_BESIDE_ATOMS = word_set("is in not like ilike between ::")
_NOT_EXPRESSIONS = _JOINS | word_set(
    """select from with values table pivot unpivot describe summarize lateral order group limit union except intersect
    distinct , as tablesample := => :"""
)
"""Where one of these stands in a pair of parentheses, the pair isn't there for grouping."""
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")
_TRUTHS = word_set("null true false unknown")


def redundant(words: Sequence[str], aliases: Sequence[bool], names: Sequence[bool]) -> set[int]:
    """The indices of words that are redundant parentheses. ``aliases``: words before which an AS fits; ``names``:
    words that are identifiers or literals, whatever they look like."""
    if "(" not in words:
        return set()
    return _Finder(words, aliases, names).find()


class _Finder:
    def __init__(self, words: Sequence[str], aliases: Sequence[bool], names: Sequence[bool]) -> None:
        self._words = ["·" if n else w for w, n in zip(words, names, strict=True)]
        self._aliases = aliases
        self._dropped: set[int] = set()
        self._match: dict[int, int] = {}
        self._range_ands: set[int] = set()
        self._pair()

    def find(self) -> set[int]:
        for start in sorted(self._match):
            end = self._match[start]
            if self._words[start] == "(" and end > start + 1 and self._is_redundant(start, end):
                self._dropped |= {start, end}
        return self._dropped

    def _pair(self) -> None:
        """Matches brackets, and tells the ``and`` of BETWEEN from the logical one."""
        stack: list[int] = []
        pending = [0]
        for i, word in enumerate(self._words):
            if word in _OPEN:
                stack.append(i)
                pending.append(0)
            elif word in _CLOSE:
                if stack:
                    self._match[stack.pop()] = i
                    pending.pop()
            elif word == "between":
                pending[-1] += 1
            elif word == "and" and pending[-1]:
                pending[-1] -= 1
                self._range_ands.add(i)

    def _is_redundant(self, start: int, end: int) -> bool:
        before, after = self._beside(start, -1), self._beside(end, 1)
        if not self._is_expression(start, end):
            return False
        left, right = self._left(before), self._right(after, before)
        if left == UNKNOWN and right == UNKNOWN:
            return True
        own = self._weakest(start + 1, end)
        if own == ATOM:
            return left is not None and right is not None
        if left is None or right is None or ATOM in (left, right):
            return False
        return own > left and (own > right or (own == right and own in _LEFT_TO_RIGHT))

    def _beside(self, at: int, step: int) -> int:
        """The nearest word that stays."""
        at += step
        while at in self._dropped:
            at += step
        return at

    def _left(self, at: int) -> int | None:
        """How tightly the word before binds: UNKNOWN for a delimiter, ATOM where only an atom may follow without
        parentheses, None where parentheses belong to it."""
        word = self._words[at] if at >= 0 else None
        if word is None:
            return None
        if word in _BEFORE:
            return None if word == "on" and self._word(at - 1) == "distinct" else UNKNOWN
        if word in ("like", "ilike", "between") or at in self._range_ands:
            return ATOM
        if word == "not":
            return None if self._word(at - 1) == "is" else NOT
        if word in ("+", "-") and not self._ends_operand(at - 1):
            return None
        return _OPERATORS.get(word)

    def _right(self, at: int, before: int) -> int | None:
        word = self._word(at)
        if not word or word in _AFTER or (at < len(self._words) and self._aliases[at]):
            return UNKNOWN
        if word in _JOINS:
            return None if self._word(before) in ("(", ",") else UNKNOWN
        if word in _BESIDE_ATOMS or at in self._range_ands:
            return ATOM
        return _OPERATORS.get(word)

    def _word(self, at: int) -> str:
        return self._words[at] if 0 <= at < len(self._words) else ""

    def _ends_operand(self, at: int) -> bool:
        return self._word(at) in ("·", ")", "]")

    def _is_expression(self, start: int, end: int) -> bool:
        at = start + 1
        while at < end:
            if self._words[at] in _NOT_EXPRESSIONS:
                return False
            at = self._match.get(at, at) + 1
        return True

    def _weakest(self, at: int, end: int) -> int:
        """How tightly the loosest operator of ``words[at:end]`` binds; UNKNOWN where one isn't known."""
        weakest = ATOM
        while True:
            while self._word(at) == "not":
                weakest, at = min(weakest, NOT), at + 1
            if self._word(at) in ("-", "+"):
                weakest, at = min(weakest, UNIT), at + 1
            at, strength = self._operand(at)
            weakest = min(weakest, strength)
            if weakest == UNKNOWN or at == end:
                return weakest
            at, strength = self._predicate(at, end)
            weakest = min(weakest, strength)
            if weakest == UNKNOWN or at >= end:
                return weakest
            if at in self._range_ands:
                return UNKNOWN
            weakest, at = min(weakest, _OPERATORS.get(self._words[at], UNKNOWN)), at + 1

    def _operand(self, at: int) -> tuple[int, int]:
        """Behind one operand: a name, a literal, a call, a group; with what is bound to it."""
        word = self._word(at)
        strength = ATOM
        if word in ("(", "["):
            at = self._match[at] + 1
        elif word == "·" or (word.isidentifier() and word not in _NOT_EXPRESSIONS):
            at += 1
        else:
            return at, UNKNOWN
        while True:
            word = self._word(at)
            if word == "." and self._word(at + 1) not in ("", ")"):
                at += 2
            elif word in ("(", "["):
                at = self._match[at] + 1
            elif word == "::" and (self._word(at + 1) == "·" or self._word(at + 1).isidentifier()):
                at, strength = at + 2, UNIT
            else:
                return at, strength

    def _predicate(self, at: int, end: int) -> tuple[int, int]:
        """Behind ``is null``, ``in (…)``, ``between a and b``, ``like a``, where one of them follows."""
        word = self._word(at)
        if word == "is":
            at += 2 if self._word(at + 1) == "not" else 1
            return (at + 1, PREDICATE) if self._word(at) in _TRUTHS else (at, UNKNOWN)
        negated = word == "not"
        at += negated
        word = self._word(at)
        if word == "in" and self._word(at + 1) == "(":
            return self._match[at + 1] + 1, PREDICATE
        if word in ("like", "ilike"):
            at, strength = self._operand(at + 1)
            return at, min(strength, PREDICATE)
        if word == "between":
            at, low = self._operand(at + 1)
            if at not in self._range_ands:
                return at, UNKNOWN
            at, high = self._operand(at + 1)
            return at, min(low, high, PREDICATE)
        return (at, UNKNOWN) if negated else (at, ATOM)
