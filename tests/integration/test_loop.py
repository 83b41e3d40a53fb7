"""The loop on one machine: new events become live models; a bad one is stopped at the gates.

`TASTEMAKER_DRILL_HOME` names a finished home whose copy is used instead of the chain's.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.integration.conftest import Chain, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]  # it trains in the middle
QUESTIONS = ("blue lamps", "a rug for the living room", "something for me")


@dataclass
class Shop:
    """A served home, its users and what an operator types."""

    chain: Chain
    url: str
    said: str = ""  # by the last command, on stderr

    def tastemaker(self, *words: str) -> str:
        """What a command that succeeds prints."""
        done = self.chain.tastemaker(*words, timeout_s=1800)
        assert done.returncode == 0, done.stdout + done.stderr
        self.said = done.stderr
        return done.stdout.strip()

    def live(self, model: str) -> dict[str, Any]:
        """A model's file where the branch is now, not where the reconciler has got to."""
        name = f"main:manifests/models/local/{model}.yaml"
        git = self.chain.home / "git" / "manifests.git"
        with os.popen(f"git --git-dir {git} show {name}") as text:
            return dict(yaml.safe_load(text.read()))

    def servers(self) -> list[dict[str, Any]]:
        told = json.loads(self.tastemaker("status", "--json"))
        return [one for one in told["servers"] if one["current"]]

    def serves(self, model: str, bundle: str) -> bool:
        return any(
            one["name"] == model and one["bundle"] == bundle and one["state"] == "ready"
            for one in self.servers()
        )

    def ask(self, number: int = 0, **ours: str) -> dict[str, Any]:
        """One turn: its `tastemaker` field, with its id."""
        said = {"role": "user", "content": QUESTIONS[number % len(QUESTIONS)]}
        body = {"messages": [said], "user": f"user-{number % 8 + 6:05}", "tastemaker": ours}
        reply = httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=120)
        assert reply.status_code == 200, reply.text
        told = reply.json()
        return {**told["tastemaker"], "turn": told["id"]}


@pytest.fixture(scope="module")
def shop(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Shop]:
    given = os.environ.get("TASTEMAKER_DRILL_HOME")
    made = Path(given) if given else request.getfixturevalue("chain").home
    home = tmp_path_factory.mktemp("loop") / "home"
    shutil.copytree(made, home, symlinks=True, ignore=shutil.ignore_patterns("run", "checkout"))
    port = free_port()
    opened = Shop(Chain(home, "", ""), f"http://127.0.0.1:{port}")
    try:
        opened.tastemaker("up", "--port", str(port))
        yield opened
    finally:
        opened.chain.tastemaker("down")


def eventually(what: Callable[[], bool], timeout_s: float = 600) -> None:
    until = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.5)


def another_router(shop: Shop, *settings: str) -> str:
    """Trained on the live one's dialogues, and evaluated."""
    bundle = shop.live("router")["bundle"]
    card = yaml.safe_load((shop.chain.home / "bundles" / bundle / "bundle.yaml").read_text())
    dialogues = card["parents"]["dialogues"]
    sets = [word for one in settings for word in ("--set", one)]
    made = shop.tastemaker("train-router", "tiny", "--dialogues", dialogues, *sets).splitlines()[-1]
    shop.tastemaker("evaluate-router", "--dialogues", dialogues, "--router", made)
    return made


def test_new_events_become_live_models_without_a_person(shop: Shop) -> None:
    before = {model: shop.live(model) for model in ("encoder", "recommender", "router")}
    for number in range(4):
        # In their taste: 40 users judge the tiny models, and noise of four would be seen.
        liked = shop.ask(number, outcome="save")["items"][:2]
        saved = [{"item_id": item["item_id"], "action": "save"} for item in liked]
        body = {"user": f"user-{number + 6:05}", "events": saved}
        assert httpx.post(f"{shop.url}/api/events", json=body, timeout=30).status_code == 200
    shop.tastemaker("flows", "run", "learn", "--preset", "tiny_set")
    learning = shop.said[-3000:]
    after = {model: shop.live(model) for model in before}
    assert after["encoder"] == before["encoder"]
    for model in ("recommender", "router"):
        assert after[model]["bundle"] != before[model]["bundle"], learning
        eventually(lambda model=model: shop.serves(model, after[model]["bundle"]))  # type: ignore[misc]
        assert after[model]["bundle"] in shop.tastemaker("history", model).splitlines()[0]
    told = shop.ask()
    assert told["bundles"]["router"] == [after["router"]["bundle"]]
    tree = shop.tastemaker("why", told["turn"])
    assert after["router"]["bundle"] in tree
    assert after["recommender"]["bundle"] in tree
    # The same events again are no reason for anything.
    commit = shop.tastemaker("history", "router", "--limit", "1")
    shop.tastemaker("flows", "run", "learn", "--preset", "tiny_set")
    assert shop.tastemaker("history", "router", "--limit", "1") == commit


def test_a_router_that_learnt_nothing_is_stopped_at_the_gates(shop: Shop) -> None:
    bad, live = another_router(shop, "steps=2"), shop.live("router")
    words = ("router", bad, "--dataset", live["dataset"], "--preset", "tiny")
    refused = shop.chain.tastemaker("gate", *words)
    assert refused.returncode == 2
    assert "exact_tool_calls" in refused.stderr
    promoted = shop.chain.tastemaker("promote", bad, "--to", "local")
    assert promoted.returncode == 2
    assert bad in promoted.stderr
    assert shop.live("router") == live
