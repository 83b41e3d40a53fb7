"""From what runs to what is wanted: which servers change, and which of them together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tastemaker.serving.services import Service

Shape = frozenset[tuple[str, str, int]]  # (key, version, weight) of each version of one server


@dataclass(frozen=True)
class Change:
    """Servers that switch at the same moment.

    Attributes:
        services: All wanted versions of these servers, those that run already too.
    """

    services: tuple[Service, ...]

    @property
    def names(self) -> list[str]:
        """Of the servers, each once, in the order wanted."""
        return list(dict.fromkeys(service.name for service in self.services))


def shape(services: Iterable[Service], name: str) -> Shape:
    """What one server consists of: the same shape needs no change."""
    return frozenset((s.key, s.version, s.weight) for s in services if s.name == name)


def changes(
    running: Mapping[str, Service], wanted: Sequence[Service], refused: Mapping[str, Shape]
) -> list[Change]:
    """What has to be done.

    A server that is given the addresses of others (the gateway) reads what they are at its start,
    and servers of two embedding spaces must not meet: where one of these changes, all that changes
    is one set. Otherwise each server changes for itself.

    Args:
        running: Services by key.
        wanted: All services that should run.
        refused: Shape by name of servers that failed in it: they are left alone until they are
            wanted otherwise, or another embedding space needs them.

    Returns:
        Changes in the order wanted; empty where nothing is to be done.
    """
    by_name: dict[str, list[Service]] = {}
    for service in wanted:
        by_name.setdefault(service.name, []).append(service)
    shapes = {name: shape(services, name) for name, services in by_name.items()}
    changed = [name for name in by_name if shape(running.values(), name) != shapes[name]]
    tried = [name for name in changed if refused.get(name) != shapes[name]]
    spaces = {service.space for service in running.values()} - {""}
    if any(s.space and s.space not in spaces for name in tried for s in by_name[name]):
        tried = changed
    if any(service.uses for name in tried for service in by_name[name]):
        return [Change(tuple(service for name in tried for service in by_name[name]))]
    return [Change(tuple(by_name[name])) for name in tried]
