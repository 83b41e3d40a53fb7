"""The drill of an encoder upgrade: planned, carried out and swapped while conversations go on.

`TASTEMAKER_DRILL_HOME` names a finished home whose copy is used instead of the chain's; where it
holds a second encoder with all that was made of it, the drill is what is left of the plan.
`TASTEMAKER_DRILL_PRESET` is that home's preset (default `tiny`), and `TASTEMAKER_DRILL_S` the time
that a part of it may take: on `default`, an hour of training.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.integration.conftest import ROOT, Chain, environment, free_port

PRESET = os.environ.get("TASTEMAKER_DRILL_PRESET", "tiny")
LONGEST_S = int(os.environ.get("TASTEMAKER_DRILL_S", "3000"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(LONGEST_S)]  # it trains while others talk
QUESTIONS = ("blue lamps", "a rug for the living room", "something for me", "more like the first")
TALKING = 3  # conversations at a time
PAUSE_S = 1.5  # between two turns of one: people read, and the training needs a core
SEED = 7  # of the second encoder
MODELS = ("encoder", "retrieval", "recommender", "router")


@dataclass
class Talk:
    """Conversations that go on until they are told to end.

    Attributes:
        url: Of the gateway.
        turns: (status of HTTP, the reply's `tastemaker` field or the body of a refusal).
    """

    url: str
    turns: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def begin(self) -> None:
        for number in range(TALKING):
            thread = threading.Thread(target=self._converse, args=(number,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive()

    def _converse(self, number: int) -> None:
        user, asked = f"user-{number + 6:05}", 0
        with httpx.Client(base_url=self.url, timeout=120, trust_env=False) as http:
            conversation = None
            while not self._stop.wait(PAUSE_S):
                fields: dict[str, Any] = {"user": user}
                if conversation and asked % 8:  # a new one now and then
                    fields["tastemaker"] = {"conversation": conversation}
                words = QUESTIONS[asked % len(QUESTIONS)]
                messages = [{"role": "user", "content": words}]
                asked += 1
                try:
                    reply = http.post("/v1/chat/completions", json={"messages": messages, **fields})
                except httpx.HTTPError as error:
                    self.faults.append(f"{type(error).__name__}: {error}")
                    continue
                told = reply.json()
                self.turns.append((reply.status_code, told.get("tastemaker", told)))
                if reply.status_code == 200:
                    conversation = told["tastemaker"]["conversation"]
                    items = told["tastemaker"]["items"]
                    if items:
                        events = [{"item_id": items[0]["item_id"], "action": "save"}]
                        body = {"user": user, "conversation": conversation, "events": events}
                        http.post("/api/events", json=body)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Chain:
    """A copy of a finished home: nothing of it is changed for other tests."""
    given = os.environ.get("TASTEMAKER_DRILL_HOME")
    made = Path(given) if given else request.getfixturevalue("chain").home
    copy = tmp_path_factory.mktemp("upgrade") / "home"
    skipped = shutil.ignore_patterns("run", "tmp", "checkout")
    shutil.copytree(made, copy, symlinks=True, ignore=skipped)
    return Chain(copy, "", "")


@pytest.fixture(scope="module")
def encoder(home: Chain) -> str:
    """Another encoder of the same data, by another seed."""
    cards = {
        bundle.name: yaml.safe_load((bundle / "bundle.yaml").read_text())
        for bundle in (home.home / "bundles").iterdir()
    }
    encoders = {name: card for name, card in cards.items() if card["family"] == "encoder"}
    for name, card in encoders.items():
        if card["config"]["seed"] == SEED:
            return name
    first = next(iter(encoders.values()))
    dataset = first["parents"]["dataset"]
    trained = home.tastemaker(
        "train-encoder", PRESET, "--dataset", dataset, "--set", f"seed={SEED}", timeout_s=LONGEST_S
    )
    assert trained.returncode == 0, trained.stderr
    return trained.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def upgraded(home: Chain, encoder: str) -> Iterator[Talk]:
    """Conversations before, during and after an upgrade; at its end everything is stopped."""
    port = free_port()
    started = home.tastemaker("up", "--port", str(port))
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        assert home.live("encoder")["bundle"] != encoder
        talk = Talk(f"http://127.0.0.1:{port}")
        talk.begin()
        try:
            _wait(lambda: len(talk.turns) >= 3, 300, "turns before the upgrade")
            _carry_out(home, encoder)
            _wait(lambda: _answered_from(home, encoder) >= 5, 600, "turns from the new space")
        finally:
            talk.end()
        yield talk
    finally:
        home.tastemaker("down")


def _carry_out(home: Chain, encoder: str) -> None:
    words = ("plan", "upgrade", "encoder", encoder, "--gates", PRESET, "--execute")
    done = subprocess.run(
        [sys.executable, "-m", "tastemaker.cli", *words],
        cwd=ROOT,
        env=environment(home.home),
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing is left to do: it is live" in done.stdout


def _wait(what: Any, timeout_s: float, name: str) -> None:
    end = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < end, f"no {name} in {timeout_s:.0f} s"
        time.sleep(0.5)


def records(home: Chain) -> list[dict[str, Any]]:
    """What the gateway kept of all turns, in their order."""
    database = sqlite3.connect(f"file:{home.home}/run/assistant.db?mode=ro", uri=True)
    try:
        rows = database.execute("SELECT record FROM turns ORDER BY time_ms").fetchall()
    finally:
        database.close()
    return [json.loads(text) for (text,) in rows]


def _answered_from(home: Chain, space: str) -> int:
    return sum(record["versions"]["space"] == space for record in records(home))


def reads(home: Chain, bundle: str) -> list[str]:
    card = yaml.safe_load((home.home / "bundles" / bundle / "bundle.yaml").read_text())
    return [bundle] if card["writes_space"] else list(card["reads"])


def test_no_turn_fails_while_everything_is_swapped(upgraded: Talk, home: Chain) -> None:
    assert upgraded.faults == []
    assert Counter(status for status, _ in upgraded.turns) == {200: len(upgraded.turns)}
    kept = records(home)
    assert {record["status"] for record in kept} == {"done"}
    assert len(kept) >= len(upgraded.turns)
    calls = [call for record in kept for call in record["calls"]]
    assert [call for call in calls if call["bundle"] and not call["ok"]] == []
    steps = [step for record in kept for step in record["steps"]]
    assert [step for step in steps if "space" in step.get("error", "")] == []


def test_every_vector_is_read_in_the_space_of_its_turn(
    upgraded: Talk, home: Chain, encoder: str
) -> None:
    spaces = []
    for record in records(home):
        space = record["versions"]["space"]
        for model, found in record["bundles"].items():
            for bundle in found:
                assert reads(home, bundle) == [space], (model, record["id"])
        assert "router" in record["bundles"], record["id"]
        spaces.append(space)
    assert spaces[-1] == encoder
    assert len(set(spaces)) == 2
    switched = spaces.index(encoder)
    late = [space for space in spaces[switched:] if space != encoder]
    assert len(late) <= TALKING  # turns that were under way end in the space that they began in


def test_a_turn_after_it_leads_to_the_commit_that_brought_the_set(
    upgraded: Talk, home: Chain, encoder: str
) -> None:
    turn = records(home)[-1]["id"]
    told = home.tastemaker("why", turn, "--json")
    assert told.returncode == 0, told.stderr
    graph = json.loads(told.stdout)
    nodes = {(node["kind"], node["id"]): node for node in graph["nodes"]}
    brought = {link["id"] for link in nodes["turn", turn]["links"] if link["role"] == "live by"}
    assert len(brought) == 1  # one commit, the whole set
    (commit,) = brought
    roles = [link["role"] for link in nodes["commit", commit]["links"]]
    assert roles.count("evidence") == len(MODELS)
    assert nodes["bundle", encoder]["missing"] == ""
    assert not any(node["missing"] for node in nodes.values() if node["kind"] != "run")


def test_running_the_plan_again_changes_nothing(upgraded: Talk, home: Chain, encoder: str) -> None:
    before = home.live("router")
    _carry_out(home, encoder)
    assert home.live("router") == before
