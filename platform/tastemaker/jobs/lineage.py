"""Lineage: a graph from one thing (a turn, a bundle) to all that it came from.

Pure: how a thing is read is given. What cannot be found is a node that says what was looked for,
so a home that was cleaned up, copied in part or made by an older version still has a lineage.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, order=True)
class Ref:
    """The name of a thing: its kind (turn, bundle, dataset, commit, ...) and its id there."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


@dataclass(frozen=True)
class Node:
    """A thing.

    Attributes:
        facts: What there is to say of it, in order.
        links: (role, what) that it came from, in order.
        missing: What was looked for in vain; empty: it is there.
    """

    facts: Mapping[str, str] = field(default_factory=dict)
    links: tuple[tuple[str, Ref], ...] = ()
    missing: str = ""


Graph = Mapping[Ref, Node]
Read = Callable[[Ref], Node]


def follow(start: Ref, read: Read) -> Graph:
    """Everything that a thing came from, each read once; a circle ends where it began.

    Args:
        start: The thing.
        read: Reads one; for what is not there it returns a node that says so.
    """
    graph: dict[Ref, Node] = {}
    waiting = [start]
    while waiting:
        ref = waiting.pop(0)
        if ref not in graph:
            graph[ref] = read(ref)
            waiting += [to for _, to in graph[ref].links]
    return graph


def missing(graph: Graph) -> list[Ref]:
    """Things that were not found, sorted."""
    return sorted(ref for ref, node in graph.items() if node.missing)


def text(graph: Graph, start: Ref) -> str:
    """A tree for people: what was told once is referred to further down."""
    return "\n".join(_lines(graph, start, "", set()))


def body(graph: Graph, start: Ref) -> dict[str, Any]:
    """The graph for programs."""
    nodes = [
        {
            "kind": ref.kind,
            "id": ref.id,
            "facts": dict(node.facts),
            "links": [{"role": role, "kind": to.kind, "id": to.id} for role, to in node.links],
            "missing": node.missing,
        }
        for ref, node in graph.items()
    ]
    return {"start": {"kind": start.kind, "id": start.id}, "nodes": nodes}


def _lines(graph: Graph, ref: Ref, before: str, told: set[Ref]) -> Iterator[str]:
    node = graph[ref]
    if ref in told:
        again = " (above)" if node.facts or node.links else ""
        yield f"{ref}{again}"
        return
    told.add(ref)
    yield f"{ref}{_told(node)}"
    for place, (role, to) in enumerate(node.links):
        last = place == len(node.links) - 1
        branch, below = ("└─ ", "   ") if last else ("├─ ", "│  ")
        first, *rest = _lines(graph, to, before + below, told)
        label = "" if role == to.kind else f"{role}: "
        yield f"{before}{branch}{label}{first}"
        yield from rest


def _told(node: Node) -> str:
    if node.missing:
        return f"  MISSING: {node.missing}"
    facts = ", ".join(f"{name} {value}" for name, value in node.facts.items() if value)
    return f"  {facts}" if facts else ""
