"""A bundle that is good offline but slow live: real turns of the gateway, a real repository."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from random import Random

import httpx

from tastemaker.core.config import load_preset
from tastemaker.core.home import Home
from tastemaker.jobs import judge_canary
from tastemaker.promotion.environment import get_pins
from tastemaker.promotion.judge_config import JudgeConfig
from tastemaker.promotion.model_file import Live
from tastemaker.promotion.promote import promote, promote_set
from tests.tastemaker.assistant.conftest import Gateway, Servers
from tests.tastemaker.promotion.shop import make_bundle, make_set, signed, signed_set

TURNS = 60


@dataclass
class Split(httpx.AsyncBaseTransport):
    """The servers behind a proxy that gives half of the router's requests to a slow canary."""

    servers: Servers
    stable: str
    canary: str
    slow_s: float
    draw: Random

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self.servers.handle_async_request(request)
        if request.url.host == "router":
            tried = self.draw.random() < 0.5
            await asyncio.sleep(self.slow_s if tried else 0.0)
            response.headers["X-Tastemaker-Bundle"] = self.canary if tried else self.stable
        return response


def test_it_is_reverted_by_a_commit_that_tells_the_figures(
    gateway: Gateway, servers: Servers, tmp_path: Path
) -> None:
    home = Home.open(str(tmp_path / "promotions"))
    live = make_set(home)
    promote_set(home, "local", live, signed_set(home, live))
    stable = live["router"]
    tried = Live(make_bundle(home, "router", stable.space, "slow"), stable.dataset, stable.space)
    proof = signed(home, "router", tried, stable.bundle)
    promote(home, "local", "router", tried, proof, canary=50)

    services = gateway.app.state.services
    services.http.transport = Split(servers, stable.bundle, tried.bundle, 0.2, Random(0))
    for _ in range(TURNS):
        assert gateway.ask("pink vase").status_code == 200

    config = load_preset(JudgeConfig, "judge", "default", ["weights=[50, 100]", "first_look=30"])
    judgement = judge_canary.run(home, "local", "router", services.engine, config)
    assert judgement.num_turns == TURNS
    assert judgement.verdict.decision == "revert", judgement.text()
    assert judgement.verdict.reasons[0].startswith("median_ms")
    pins = get_pins(home, "local", "router")
    assert (pins.live, pins.canary) == (stable, None)
