"""A device's tree as YANG sees it: schemas, paths, values, and edits to a candidate configuration.

Inside, a tree is nested dicts; a list is a dict by its key values. Outside it is RFC 7951 JSON, in which 64-bit numbers
are strings and a name carries its module where the module changes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

Tree = dict[Any, Any]
Keys = tuple[str, ...]
VlanRange = int | str  # a VLAN, or "first..last"


class YangError(Exception):
    """A request that the model does not bear. ``kind`` is invalid, missing (nothing there) or precondition."""

    def __init__(self, message: str, kind: Literal["invalid", "missing", "precondition"] = "invalid") -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Leaf:
    """``check`` returns the value to store or raises ValueError. ``wide`` numbers are 64 bits: strings in JSON."""

    check: Callable[[Any], Any]
    wide: bool = False
    config: bool = True


@dataclass(frozen=True)
class Container:
    children: dict[str, Node]
    module: str = ""  # where it differs from the parent's
    config: bool = True


@dataclass(frozen=True)
class List:
    keys: Keys
    entry: Container

    @property
    def module(self) -> str:
        return self.entry.module

    @property
    def config(self) -> bool:
        return self.entry.config


Node = Leaf | Container | List


@dataclass(frozen=True)
class Step:
    """One element of a path. ``keys`` is None where none were given; '*' stands for any."""

    name: str
    keys: dict[str, str] | None = None

    def __str__(self) -> str:
        return self.name + "".join(f"[{key}={value}]" for key, value in (self.keys or {}).items())


Path = tuple[Step, ...]


def show(path: Path) -> str:
    return "/" + "/".join(map(str, path))


# --- leaf types


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("is not a string")
    return value


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is not a boolean")
    return value


def number(least: int, most: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"is not a number from {least} to {most}")
        return value

    return check


def one_of(*choices: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        name = text(value).rpartition(":")[2]  # an identity may carry its module
        if name not in choices:
            raise ValueError(f"is none of {', '.join(choices)}")
        return name

    return check


vlan_id = number(1, 4094)


def vlan_ranges(value: Any) -> list[VlanRange]:
    if not isinstance(value, list):
        raise ValueError("is not a list")
    return [_vlan_range(item) for item in value]


def _vlan_range(value: Any) -> VlanRange:
    if isinstance(value, str):
        first, dots, last = value.partition("..")
        if dots and first.isdigit() and last.isdigit() and vlan_id(int(first)) < vlan_id(int(last)):
            return value
        raise ValueError(f'has {value!r}, which is no range such as "3..6"')
    return vlan_id(value)


TEXT = Leaf(text)
FLAG = Leaf(flag)
COUNTER = Leaf(number(0, 2**64 - 1), wide=True)
VLAN_ID = Leaf(vlan_id)


def state(leaves: dict[str, Node]) -> Container:
    """A container that cannot be configured."""
    return Container(leaves, config=False)


class Model:
    """A schema, and what can be done to a tree of it. ``modules`` are names by version."""

    def __init__(self, root: Container, modules: dict[str, str]) -> None:
        self.root = root
        self.modules = modules

    def find_node(self, path: Path) -> tuple[Node, bool, str]:
        """The schema node at a path, whether it can be configured, and its module. Raises YangError."""
        node: Node = self.root
        config = True
        module = ""
        for number, step in enumerate(path):
            here = show(path[: number + 1])
            if isinstance(node, List):
                node = node.entry
            child = node.children.get(step.name) if isinstance(node, Container) else None
            if child is None:
                raise YangError(f"{here}: no such path")
            node = child
            if isinstance(node, List):
                unknown = set(step.keys or ()) - set(node.keys)
                if unknown:
                    raise YangError(f"{here}: {step.name} has no key {', '.join(sorted(unknown))}")
                config = config and node.config
                module = node.module or module
            else:
                if step.keys:
                    raise YangError(f"{here}: {step.name} is not a list")
                config = config and node.config
                if isinstance(node, Container):
                    module = node.module or module
        return node, config, module

    def select(self, tree: Tree, path: Path) -> Iterator[tuple[Path, Any]]:
        """What stands at a path, which may hold wildcards (or leave keys out, which is the same)."""
        found: list[tuple[Path, Any, Node]] = [((), tree, self.root)]
        for step in path:
            following: list[tuple[Path, Any, Node]] = []
            for way, value, node in found:
                parent = node.entry if isinstance(node, List) else node
                assert isinstance(parent, Container)
                child = parent.children[step.name]
                if not isinstance(value, dict) or step.name not in value:
                    continue
                below = value[step.name]
                if isinstance(child, List):
                    for keys, entry in below.items():
                        named = dict(zip(child.keys, keys, strict=True))
                        if all(wanted in ("*", named[key]) for key, wanted in (step.keys or {}).items()):
                            following.append(((*way, Step(step.name, named)), entry, child))
                else:
                    following.append(((*way, step), below, child))
            found = following
        for way, value, _ in found:
            yield way, value

    def decode(self, value: Any, node: Node, where: str) -> Any:
        """JSON as a tree, every leaf checked. Raises YangError naming the first thing that is wrong."""
        if isinstance(node, Leaf):
            try:
                return node.check(value)
            except ValueError as error:
                raise YangError(f"{where}: {value!r} {error}") from None
        if isinstance(node, List):
            node = node.entry
        if not isinstance(value, dict):
            raise YangError(f"{where}: {type(value).__name__} instead of an object")
        tree: Tree = {}
        for full_name, item in value.items():
            prefix, _, name = full_name.rpartition(":")
            child = node.children.get(name)
            below = f"{where}/{name}"
            if child is None or (prefix and prefix not in self.modules):
                raise YangError(f"{where}/{full_name}: no such path")
            if not child.config:
                raise YangError(f"{below}: cannot be configured")
            if isinstance(child, List):
                tree[name] = self._decode_list(item, child, below)
            else:
                tree[name] = self.decode(item, child, below)
        return tree

    def _decode_list(self, items: Any, node: List, where: str) -> Tree:
        if not isinstance(items, list):
            raise YangError(f"{where}: {type(items).__name__} instead of a list")
        tree: Tree = {}
        for item in items:
            entry = self.decode(item, node, where)
            missing = [key for key in node.keys if key not in entry]
            if missing:
                raise YangError(f"{where}: an entry without its key {', '.join(missing)}")
            tree[tuple(str(entry[key]) for key in node.keys)] = entry
        return tree

    def delete(self, tree: Tree, path: Path) -> None:
        """Take away what stands at a path; nothing there is no error. Raises YangError."""
        self._writable(path)
        if not path:
            tree.clear()
            return
        parent = self._descend(tree, path[:-1], create=False)
        if parent is None or path[-1].name not in parent:
            return
        keys = _keys(path[-1], self.find_node(path)[0])
        if keys is None:
            del parent[path[-1].name]
        else:
            parent[path[-1].name].pop(keys, None)

    def replace(self, tree: Tree, path: Path, value: Any) -> None:
        """Put ``value`` (JSON) in place of what stands at a path. Raises YangError."""
        self.delete(tree, path)
        self.update(tree, path, value)

    def update(self, tree: Tree, path: Path, value: Any) -> None:
        """Merge ``value`` (JSON) into what stands at a path. Raises YangError."""
        node = self._writable(path)
        if isinstance(node, List) and not path[-1].keys:
            decoded = self._decode_list(value, node, show(path))
        else:
            decoded = self.decode(value, node, show(path))
        if not path:
            _merge(tree, decoded)
            return
        parent = self._descend(tree, path[:-1], create=True)
        assert parent is not None
        last = path[-1]
        keys = _keys(last, node)
        if keys is not None and isinstance(node, List):
            entry = parent.setdefault(last.name, {}).setdefault(keys, {})
            _merge(entry, self._key_leaves(node, keys))
            given = {key: str(decoded[key]) for key in node.keys if key in decoded}
            if any(given[key] != keys[node.keys.index(key)] for key in given):
                raise YangError(f"{show(path)}: the keys in the value ({given}) are not those of the path")
            _merge(entry, decoded)
        elif isinstance(decoded, dict):
            _merge(parent.setdefault(last.name, {}), decoded)
        else:
            parent[last.name] = decoded

    def _writable(self, path: Path) -> Node:
        node, config, _ = self.find_node(path)
        if not config:
            raise YangError(f"{show(path)}: cannot be configured")
        return node

    def _key_leaves(self, node: List, keys: Keys) -> Tree:
        leaves: Tree = {}
        for name, text in zip(node.keys, keys, strict=True):
            leaf = node.entry.children[name]
            number = text.isdigit() and leaf is not TEXT
            leaves[name] = self.decode(int(text) if number else text, leaf, f"[{name}={text}]")
        return leaves

    def _descend(self, tree: Tree, path: Path, create: bool) -> Tree | None:
        node: Tree = tree
        for number, step in enumerate(path):
            schema = self.find_node(path[: number + 1])[0]
            if step.name not in node and not create:
                return None
            node = node.setdefault(step.name, {})
            if isinstance(schema, List):
                keys = _keys(step, schema)
                if keys is None:
                    raise YangError(f"{show(path[: number + 1])}: needs a value for {', '.join(schema.keys)}")
                if keys not in node and not create:
                    return None
                node = node.setdefault(keys, self._key_leaves(schema, keys))
        return node


def encode(value: Any, node: Node, module: str, top: bool = True) -> Any:
    """A tree as RFC 7951 JSON; the outermost names carry their module."""
    if isinstance(node, List):
        node = node.entry
    if isinstance(node, Leaf):
        return str(value) if node.wide else value
    result: Tree = {}
    for name, item in value.items():
        child = node.children[name]
        inner = module if isinstance(child, Leaf) else child.module or module
        shown = f"{inner}:{name}" if inner and (top or inner != module) else name
        if isinstance(child, List):
            result[shown] = [encode(entry, child, inner, top=False) for entry in item.values()]
        else:
            result[shown] = encode(item, child, inner, top=False)
    return result


def without(tree: Any, node: Node, drop: Literal["config", "state"]) -> Any:
    """A tree without its ``config`` or its ``state`` containers (what Get's data types leave out)."""
    if isinstance(node, Leaf):
        return tree
    if isinstance(node, List):
        node = node.entry
    result: Tree = {}
    for name, item in tree.items():
        child = node.children[name]
        if name == drop:
            continue
        if drop == "state" and not child.config:
            continue
        if isinstance(child, List):
            result[name] = {keys: without(entry, child, drop) for keys, entry in item.items()}
        else:
            result[name] = without(item, child, drop)
    return result


def _keys(step: Step, node: Node) -> Keys | None:
    """The key values of the list entry that a step names; None for the whole list, or no list."""
    if not isinstance(node, List) or not step.keys:
        return None
    missing = [key for key in node.keys if step.keys.get(key, "*") == "*"]
    if missing:
        raise YangError(f"{step}: needs a value for {', '.join(missing)}")
    return tuple(step.keys[key] for key in node.keys)


def _merge(into: Tree, tree: Tree) -> None:
    for key, value in tree.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = copy.deepcopy(value)
