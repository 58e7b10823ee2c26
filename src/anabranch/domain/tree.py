"""Trees: asset -> snapshot, content-addressed and structurally shared.

A tree is a hash trie: a *leaf* holds up to 32 entries, a *branch* up to 16 children by the next hex digit of the name's
hash. The shape depends on the entries alone, so that equal contents have equal ids, however they came about; an update
rewrites one path, and two trees are compared by skipping the subtrees that they share. Nodes are read a level at a
time, so that a store beyond a network costs a round trip a level and not a node.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from anabranch.domain.ids import SnapshotId, TreeId, canonical, digest
from anabranch.domain.names import AssetName

LEAF = 32
"""Entries that a leaf holds at most."""

Entries = dict[AssetName, SnapshotId]
ReadObjects = Callable[[Collection[TreeId]], Mapping[TreeId, bytes]]


@dataclass(frozen=True, slots=True)
class Node:
    """A leaf has entries, a branch has children; ``count`` is the number of entries below."""

    count: int
    entries: Mapping[AssetName, SnapshotId] = field(default_factory=dict)
    children: Mapping[str, TreeId] = field(default_factory=dict)

    @property
    def is_leaf(self) -> bool:
        return not self.children


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one asset between two trees."""

    asset: AssetName
    before: SnapshotId | None
    after: SnapshotId | None


def _encode(node: Node) -> bytes:
    return canonical([node.count, dict(node.entries), dict(node.children)])


def _decode(data: bytes) -> Node:
    count, entries, children = json.loads(data)
    return Node(count, entries, children)


def _id(data: bytes) -> TreeId:
    return TreeId(digest(b"tree" + data))


EMPTY_DATA = _encode(Node(0))
EMPTY: TreeId = _id(EMPTY_DATA)
"""The tree without assets. It needs no storing."""


def _path(asset: str) -> str:
    return digest(asset.encode())


class Trees:
    """Reads trees through ``read`` and makes new ones; what it made and isn't stored yet is in ``fresh``.

    Nodes never change, so they are kept once read.
    """

    def __init__(self, read: ReadObjects) -> None:
        self._read = read
        self._nodes: dict[TreeId, Node] = {EMPTY: Node(0)}
        self.fresh: dict[TreeId, bytes] = {}

    # -- reading ---------------------------------------------------------------------------------------------------
    def _load(self, ids: Iterable[TreeId]) -> None:
        missing = {i for i in ids if i not in self._nodes}
        if not missing:
            return
        found = self._read(missing)
        for i in missing:
            if i not in found:
                raise KeyError(i)
            self._nodes[i] = _decode(found[i])

    def _node(self, tree: TreeId) -> Node:
        if tree not in self._nodes:
            self._load([tree])
        return self._nodes[tree]

    def count(self, tree: TreeId) -> int:
        """How many assets ``tree`` has."""
        return self._node(tree).count

    def get(self, tree: TreeId, asset: AssetName) -> SnapshotId | None:
        """What ``asset`` points to in ``tree``."""
        path, depth, node = _path(asset), 0, self._node(tree)
        while not node.is_leaf:
            child = node.children.get(path[depth])
            if child is None:
                return None
            node, depth = self._node(child), depth + 1
        return node.entries.get(asset)

    def entries(self, tree: TreeId) -> Entries:
        """All of ``tree``, sorted by name."""
        found: Entries = {}
        for node in self._walk([tree]):
            found.update(node.entries)
        return dict(sorted(found.items()))

    def nodes(self, trees: Collection[TreeId]) -> set[TreeId]:
        """The ids of all nodes that ``trees`` consist of."""
        seen: set[TreeId] = set()
        level = set(trees)
        while level:
            seen |= level
            self._load(level)
            level = {c for i in level for c in self._nodes[i].children.values()} - seen
        return seen

    def snapshots(self, trees: Collection[TreeId]) -> set[SnapshotId]:
        """All snapshots that ``trees`` point to; what they share is read once."""
        return {s for i in self.nodes(trees) for s in self._nodes[i].entries.values()}

    def _walk(self, level: list[TreeId]) -> Iterator[Node]:
        while level:
            self._load(level)
            nodes = [self._nodes[i] for i in level]
            yield from nodes
            level = [c for n in nodes for c in n.children.values()]

    def diff(self, before: TreeId, after: TreeId) -> list[Change]:
        """What differs, sorted by name; subtrees that both share are never read."""
        olds: Entries = {}
        news: Entries = {}
        pairs: list[tuple[TreeId, TreeId]] = [(before, after)]
        while pairs:
            pairs = [(a, b) for a, b in pairs if a != b]
            self._load([i for pair in pairs for i in pair])
            following: list[tuple[TreeId, TreeId]] = []
            for a, b in pairs:
                old, new = self._nodes[a], self._nodes[b]
                if old.children and new.children:
                    digits = old.children.keys() | new.children.keys()
                    following += [(old.children.get(d, EMPTY), new.children.get(d, EMPTY)) for d in digits]
                else:
                    olds.update(self.entries(a))
                    news.update(self.entries(b))
            pairs = following
        names = sorted(olds.keys() | news.keys())
        found = (Change(n, olds.get(n), news.get(n)) for n in names)
        return [c for c in found if c.before != c.after]

    # -- making ----------------------------------------------------------------------------------------------------
    def build(self, entries: Mapping[AssetName, SnapshotId]) -> TreeId:
        """The tree of exactly these entries."""
        return self._build([(_path(a), a, s) for a, s in entries.items()], 0)

    def patch(self, tree: TreeId, changes: Iterable[Change]) -> TreeId:
        """``tree`` with each changed asset as ``after`` says; ``before`` isn't looked at."""
        return self._patch(tree, [(_path(c.asset), c.asset, c.after) for c in changes], 0)

    def _save(self, node: Node) -> TreeId:
        data = _encode(node)
        i = _id(data)
        self._nodes[i] = node
        if i != EMPTY:  # even if it is known: what was read or stored long ago may have been swept since
            self.fresh[i] = data
        return i

    def _build(self, items: list[tuple[str, AssetName, SnapshotId]], depth: int) -> TreeId:
        if len(items) <= LEAF:
            return self._save(Node(len(items), {a: s for _, a, s in sorted(items)}))
        groups: dict[str, list[tuple[str, AssetName, SnapshotId]]] = {}
        for item in items:
            groups.setdefault(item[0][depth], []).append(item)
        children = {d: self._build(group, depth + 1) for d, group in sorted(groups.items())}
        return self._save(Node(len(items), {}, children))

    def _patch(self, tree: TreeId, items: list[tuple[str, AssetName, SnapshotId | None]], depth: int) -> TreeId:
        if not items:
            return tree
        node = self._node(tree)
        if node.is_leaf:
            entries = dict(node.entries)
            for _, asset, snapshot in items:
                if snapshot is None:
                    entries.pop(asset, None)
                else:
                    entries[asset] = snapshot
            return self._build([(_path(a), a, s) for a, s in entries.items()], depth)
        groups: dict[str, list[tuple[str, AssetName, SnapshotId | None]]] = {}
        for item in items:
            groups.setdefault(item[0][depth], []).append(item)
        children = dict(node.children)
        for digit, group in groups.items():
            child = self._patch(children.get(digit, EMPTY), group, depth + 1)
            if child == EMPTY:
                children.pop(digit, None)
            else:
                children[digit] = child
        self._load(children.values())
        count = sum(self._nodes[c].count for c in children.values())
        if count <= LEAF:  # the shape is a function of the contents: small again means a leaf again
            merged: Entries = {}
            for child in children.values():
                merged.update(self.entries(child))
            return self._build([(_path(a), a, s) for a, s in merged.items()], depth)
        return self._save(Node(count, {}, dict(sorted(children.items()))))
