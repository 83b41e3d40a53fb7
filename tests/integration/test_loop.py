"""The loop on one machine: new events become live models, canaries are judged by real turns.

`TASTEMAKER_DRILL_HOME` names a finished home whose copy is used instead of the chain's.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import yaml

from tastemaker.serving import processes
from tests.integration.conftest import Chain, free_port

T = TypeVar("T")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]  # it trains in the middle
QUESTIONS = ("blue lamps", "a rug for the living room", "something for me")
# Wide margins: whether the verdicts are right is tested on thousands of simulated rollouts. Few
# turns leave ratios all but unbounded.
WIDE = {
    "errors": 0.9,
    "no_answer": 0.9,
    "saves": 0.9,
    "median_ms": 1e30,
    "p95_ms": 1e30,
    "cents": 1e30,
}
QUICK = ("weights=[50,100]", "first_look=10", "growth=1.1")


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
        return dict(yaml.safe_load(self.git("show", f"main:manifests/models/local/{model}.yaml")))

    def git(self, *words: str) -> str:
        """What Git says of the repository that says what is live."""
        command = ["git", "--git-dir", str(self.chain.home / "git" / "manifests.git"), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def servers(self) -> list[dict[str, Any]]:
        told = json.loads(self.tastemaker("status", "--json"))
        return [one for one in told["servers"] if one["current"]]

    def serves(self, model: str, bundle: str) -> bool:
        return any(
            one["name"] == model and one["bundle"] == bundle and one["state"] == "ready"
            for one in self.servers()
        )

    def canary(self, bundle: str) -> dict[str, Any] | None:
        """The router's canary, once it serves; the stable one of before may be the same bundle."""
        found = [one for one in self.servers() if one["name"] == "router" and one["canary"]]
        ready = [one for one in found if (one["bundle"], one["state"]) == (bundle, "ready")]
        return ready[0] if ready else None

    def ask(self, number: int = 0, **ours: str) -> dict[str, Any]:
        """One turn: its `tastemaker` field, with its id."""
        said = {"role": "user", "content": QUESTIONS[number % len(QUESTIONS)]}
        body = {"messages": [said], "user": f"user-{number % 8 + 6:05}", "tastemaker": ours}
        reply = httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=120)
        assert reply.status_code == 200, reply.text
        told = reply.json()
        return {**told["tastemaker"], "turn": told["id"]}

    def judge(self, *settings: str) -> str:
        sets = [word for one in (*QUICK, *settings) for word in ("--set", one)]
        return str(
            json.loads(self.tastemaker("judge", "router", "--json", *sets))["verdict"]["decision"]
        )


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


def eventually(what: Callable[[], T], timeout_s: float = 600) -> T:
    """What it gives once it gives something."""
    until = time.monotonic() + timeout_s
    while not (found := what()):
        assert time.monotonic() < until, "not in time"
        time.sleep(0.5)
    return found


def another_router(shop: Shop, *settings: str) -> str:
    """Trained on the live one's dialogues, and evaluated."""
    bundle = shop.live("router")["bundle"]
    card = yaml.safe_load((shop.chain.home / "bundles" / bundle / "bundle.yaml").read_text())
    dialogues = card["parents"]["dialogues"]
    sets = [word for one in settings for word in ("--set", one)]
    made = shop.tastemaker("train-router", "tiny", "--dialogues", dialogues, *sets).splitlines()[-1]
    shop.tastemaker("evaluate-router", "--dialogues", dialogues, "--router", made)
    return made


def as_canary(shop: Shop, bundle: str) -> Any:
    """Gate it, try it on half of the requests, and wait until it serves; its server."""
    dataset = shop.live("router")["dataset"]
    shop.tastemaker("gate", "router", bundle, "--dataset", dataset, "--preset", "tiny")
    shop.tastemaker("promote", bundle, "--to", "local", "--canary", "50")
    tried = shop.live("router")["canary"]
    assert (tried["bundle"], tried["weight"]) == (bundle, 50)
    return eventually(lambda: shop.canary(bundle))


@contextmanager
def slowed(pid: int) -> Iterator[None]:
    """A process and what it started get a tenth of the time, as beside a greedy neighbour."""
    ended = threading.Event()

    def hold() -> None:
        while not ended.is_set():
            members = processes.session_members(pid)
            for number, seconds in ((signal.SIGSTOP, 0.45), (signal.SIGCONT, 0.05)):
                for one in members:
                    processes.send(one, number)
                time.sleep(seconds)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


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


def test_a_good_canary_is_judged_and_becomes_the_stable_one(shop: Shop) -> None:
    bundle, before = another_router(shop, "seed=9"), shop.live("router")["bundle"]
    as_canary(shop, bundle)
    asked, wide = 0, [f"margins.{name}={value}" for name, value in WIDE.items()]
    while shop.live("router")["bundle"] == before:
        for _ in range(10):
            shop.ask(asked := asked + 1)
        assert shop.judge(*wide) != "revert"
        assert asked < 200
    assert shop.live("router")["bundle"] == bundle
    assert "canary" not in shop.live("router")
    eventually(lambda: shop.serves("router", bundle))


def test_a_canary_that_is_slow_live_is_taken_away_by_a_commit(shop: Shop) -> None:
    stable = shop.live("router")["bundle"]
    was = [line.split() for line in shop.tastemaker("history", "router").splitlines()]
    known = {word for line in was for word in line if len(word) == 16} - {stable}
    other = next(b for b in known if (shop.chain.home / "bundles" / b).is_dir() and _same(shop, b))
    canary = as_canary(shop, other)
    asked = 0
    with slowed(canary["pid"]):
        while "canary" in shop.live("router"):
            for _ in range(10):
                shop.ask(asked := asked + 1)
            assert shop.judge() != "step"
            assert asked < 200
    assert shop.live("router")["bundle"] == stable
    assert "Revert canary" in shop.tastemaker("history", "router", "--limit", "1")
    assert re.search(r"Reason: judge, look \d+ at 50 %: .*(median|p95)_ms", shop.git("log", "-1"))
    eventually(lambda: not shop.serves("router", other))
    assert shop.ask()["bundles"]["router"] == [stable]


def test_one_command_brings_the_bundle_before_back(shop: Shop) -> None:
    bad = shop.live("router")["bundle"]
    shop.tastemaker("rollback", "router", "--why", "answers are dull")
    now = shop.live("router")["bundle"]
    assert now != bad
    eventually(lambda: shop.serves("router", now))
    assert shop.ask()["bundles"]["router"] == [now]


def _same(shop: Shop, bundle: str) -> bool:
    """Whether it reads the live user model's embeddings."""
    cards = [
        yaml.safe_load((shop.chain.home / "bundles" / one / "bundle.yaml").read_text())
        for one in (bundle, shop.live("router")["bundle"])
    ]
    first, second = (card["parents"].get("sequence") for card in cards)
    return bool(first == second)
