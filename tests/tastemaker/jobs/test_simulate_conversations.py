"""Simulated users against the real gateway on a real port; only the model servers are small."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.gateway import build_app
from tastemaker.core import digests
from tastemaker.core.errors import ConfigError, ServiceError
from tastemaker.core.home import Home
from tastemaker.jobs import simulate_conversations
from tastemaker.jobs.simulation_config import SimulationConfig
from tastemaker.jobs.simulation_files import alone
from tests.tastemaker.assistant.conftest import (
    CONFIG,
    URLS,
    Message,
    Servers,
    call,
    make_catalogue,
    serving,
)
from tests.tastemaker.assistant.wires import Wired

pytestmark = pytest.mark.slow  # a gateway on a port; some 10 s on an idle machine

USERS = 5
CHAT = "/v1/chat/completions"


class Faulty:
    """The gateway, of which some answers get lost on the way; counts what is asked."""

    def __init__(self, app: Any) -> None:
        self.app, self.lost, self.asked = app, False, 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == CHAT:
            self.asked += 1
            if self.lost:
                await send({"type": "http.response.start", "status": 502, "headers": []})
                await send({"type": "http.response.body", "body": b"lost"})
                return
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def catalogue(home: Home) -> Catalogue:
    return make_catalogue(home)


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue
) -> Iterator[tuple[str, Faulty]]:
    """Address and app of a gateway with a home of its own."""
    own = Home(tmp_path_factory.mktemp("gateway"))
    app = Faulty(build_app(own, catalogue, URLS, CONFIG, http=Wired(Servers(catalogue))))
    with serving(app) as url:
        yield url, app


def settings(**fields: Any) -> SimulationConfig:
    return SimulationConfig.model_validate({"users": USERS, "probe_frac": 0.5, **fields})


def result(home: Home, digest: str, name: str) -> Any:
    return json.loads(home.read_text("simulations", digest, name) or "")


def open_runs(home: Home) -> list[str]:
    return [name for name in home.names("simulations") if name.startswith("open-")]


def test_users_talk_and_leave_nothing(home: Home, site: tuple[str, Faulty]) -> None:
    url, _ = site
    digest = simulate_conversations.run(home, settings(), url=url)
    figures, cases = result(home, digest, "metrics.json"), result(home, digest, "cases.json")
    assert figures["error_rate"] == 0
    assert figures["harm_leak"] == figures["harm_withdrawn"] == 0
    assert len(cases["session_success"]) == len(cases["harm_rate"]) == USERS
    assert figures["taken"] > 0
    assert 0 < figures["diversity"] < 2
    assert figures["session_success_low"] <= figures["session_success"]
    assert "Simulated conversations" in (home.read_text("simulations", digest, "report.html") or "")
    assert open_runs(home) == []
    run = result(home, digest, "run.json")
    name = digests.of_json({key: run[key] for key in ("settings", "urls", "health", "live")})
    for user in (*(f"sim-{name[:8]}-a-{n:05d}" for n in range(USERS)), f"sim-{name[:8]}-a-owner"):
        known = httpx.get(f"{url}/api/users/{user}").raise_for_status().json()
        kept = [known[kind] for kind in ("num_events", "num_boards", "num_conversations")]
        assert kept == [0, 0, 0], user
        assert known["recent"] == []


def test_users_stay_where_they_are_kept(home: Home, site: tuple[str, Faulty]) -> None:
    url, _ = site
    digest = simulate_conversations.run(home, settings(users=1, seed=5), url=url, keep=True)
    run = result(home, digest, "run.json")
    name = digests.of_json({key: run[key] for key in ("settings", "urls", "health", "live")})
    known = httpx.get(f"{url}/api/users/sim-{name[:8]}-a-00000").json()
    assert known["num_conversations"] == 1
    assert known["num_events"] >= 1


def test_the_same_users_meet_two_versions_and_equal_ones_are_equal(
    home: Home, site: tuple[str, Faulty]
) -> None:
    url, _ = site
    digest = simulate_conversations.run(home, settings(), url=url, against=url)
    gains = result(home, digest, "gains.json")
    for metric in ("session_success", "taken", "diversity", "harm_rate"):
        assert gains[metric] == gains[f"{metric}_low"] == gains[f"{metric}_high"] == 0, metric
    mine = result(home, digest, "cases.json")["session_success"]
    assert mine == result(home, digest, "against-cases.json")["session_success"]


def deaf(messages: list[Message]) -> Message:
    """A router that never listens: it shows rugs, whatever is wanted."""
    if messages[-1]["role"] == "tool":
        return call("answer", text="Here.", items=messages[-1]["content"][0]["text"])
    return call("search_items", query="rug")


def test_a_version_that_does_not_listen_is_found_worse(
    home: Home, site: tuple[str, Faulty], catalogue: Catalogue, tmp_path: Path
) -> None:
    url, _ = site
    servers = Servers(catalogue, script=deaf)
    with serving(build_app(Home(tmp_path), catalogue, URLS, CONFIG, http=Wired(servers))) as worse:
        config = settings(users=36, probe_frac=0, at_once=8)
        digest = simulate_conversations.run(home, config, url=url, against=worse)
    gains = result(home, digest, "gains.json")
    assert gains["session_success"] > 0
    assert gains["session_success_low"] > 0


def test_errors_are_counted_and_a_stopped_run_goes_on(
    home: Home, site: tuple[str, Faulty], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, app = site
    config = settings(seed=9)
    whole = simulate_conversations.run(home, config, url=url)
    lines = (home.read_text("simulations", whole, "conversations.jsonl") or "").splitlines()
    name = digests.of_json(
        {k: result(home, whole, "run.json")[k] for k in ("settings", "urls", "health", "live")}
    )
    stopped = "\n".join([*lines[:4], lines[4][:30]])  # killed while the fifth was written
    home.write_text(stopped, "simulations", f"open-{name}", "conversations.jsonl")
    monkeypatch.setattr(app, "lost", True)
    digest = simulate_conversations.run(home, config, url=url)
    found = [
        json.loads(line)
        for line in (home.read_text("simulations", digest, "conversations.jsonl") or "").split("\n")
        if line
    ]
    assert result(home, digest, "run.json")["held"] == USERS - 4
    assert [one["error"] != "" for one in found] == [False] * 4 + [True] * (USERS - 4)
    assert all("502" in one["error"] and one["ended"] == "error" for one in found[4:])
    assert result(home, digest, "metrics.json")["error_rate"] == pytest.approx((USERS - 4) / USERS)
    for before, after in zip(lines, found[:4], strict=False):
        assert json.loads(before) == after


def test_the_same_run_is_not_held_twice_at_once(home: Home, site: tuple[str, Faulty]) -> None:
    path = home.path("simulations", "open-x", "conversations.jsonl")
    with alone(path), pytest.raises(ConfigError, match="runs in another process"), alone(path):
        pass
    path.unlink()


def test_an_assistant_that_is_not_there_is_named(home: Home) -> None:
    with pytest.raises(ServiceError, match=r"http://127\.0\.0\.1:1/healthz"):
        simulate_conversations.run(home, settings(), url="http://127.0.0.1:1")
