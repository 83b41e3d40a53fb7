"""What a server of an environment is before it runs: its command, its address, its share."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from tastemaker.core import digests
from tastemaker.core.home import Home
from tastemaker.core.lifetime import OWNER
from tastemaker.serving.processes import MARK

PORT = "@port@"  # in a command or variable: the port that its process gets at its start
_URL = re.compile(r"@url:([a-z0-9-]+)@")


def url_of(name: str) -> str:
    """In a command or variable: the address at which another server is reached."""
    return f"@url:{name}@"


@dataclass(frozen=True)
class Liveness:
    """How it is noticed that a process hangs, which then counts as a crash.

    Attributes:
        path: That answers 200 while it lives.
        period_s: Between two questions.
        timeout_s: Longest wait for an answer.
        failures: Questions in a row without an answer after which it hangs.
    """

    path: str
    period_s: float
    timeout_s: float
    failures: int


@dataclass(frozen=True)
class Service:
    """One version of one server.

    Attributes:
        name: Of the server; its versions share it.
        command: Program and arguments, with `PORT` and `url_of` for what is known at its start.
        port: Stable TCP port on 127.0.0.1 at which all of its versions are reached.
        health: Path that answers 200 once it can serve.
        environment: Variables on top of those that every server has.
        bundle: What it serves; empty where that is not one bundle.
        space: Embedding space that it reads or writes.
        weight: Its share of the requests, percent.
        canary: Whether it is the version that is tried beside the stable one.
        repeatable: A request that it did not answer may be sent again: it only computes.
        liveness: How it is noticed that its process hangs; None: it is not asked.
    """

    name: str
    command: tuple[str, ...]
    port: int
    health: str
    environment: Mapping[str, str] = field(default_factory=dict)
    bundle: str = ""
    space: str = ""
    weight: int = 100
    canary: bool = False
    repeatable: bool = True
    liveness: Liveness | None = None

    @property
    def url(self) -> str:
        """Its stable address, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        """Its name among all versions that run, and its log's."""
        return f"{self.name}-canary" if self.canary else self.name

    @property
    def version(self) -> str:
        """Digest of what its process is; a share or a port is not part of that."""
        return digests.of_json([self.command, dict(self.environment), self.health])

    @property
    def uses(self) -> frozenset[str]:
        """Names of the servers whose addresses it is given."""
        words = [*self.command, *self.environment.values()]
        return frozenset(name for word in words for name in _URL.findall(word))

    def filled(self, port: int, urls: Mapping[str, str]) -> "Service":
        """The same with the port and the addresses in place.

        Args:
            port: That its process is to listen on.
            urls: Address by name, of at least those that it uses.
        """

        def fill(word: str) -> str:
            return _URL.sub(lambda found: urls[found[1]], word.replace(PORT, str(port)))

        given: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        given["command"] = tuple(map(fill, self.command))
        given["environment"] = {name: fill(value) for name, value in self.environment.items()}
        return Service(**given)


def to_json(services: Sequence[Service]) -> list[dict[str, Any]]:
    """As a JSON value."""
    return [asdict(service) for service in services]


def from_json(value: Sequence[Mapping[str, Any]]) -> list[Service]:
    """Back from `to_json`."""
    return [_service(**one) for one in value]


def _service(**given: Any) -> Service:
    liveness = given["liveness"]
    given["liveness"] = None if liveness is None else Liveness(**liveness)
    return Service(**{**given, "command": tuple(given["command"])})


def variables_digest() -> str:
    """Digest of this process's TASTEMAKER_* variables, the home's and a process's own left out."""
    left_out = {"TASTEMAKER_HOME", MARK, OWNER}
    kept = {k: v for k, v in os.environ.items() if k.startswith("TASTEMAKER_")}
    return digests.of_json({k: v for k, v in kept.items() if k not in left_out})


def base_environment(home: Home) -> dict[str, str]:
    """Variables of every server: this process's, the home, one thread, no downloads."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {
        **kept,
        "TASTEMAKER_HOME": home.location,
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
