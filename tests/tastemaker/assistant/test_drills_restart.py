"""Drills: the feature store is down or loses its data; the gateway itself is killed."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from sqlalchemy import create_engine, text

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.core.database import open_database
from tastemaker.core.home import Home
from tastemaker.features.config import FeatureConfig
from tastemaker.features.item_facts import read_item_facts
from tastemaker.jobs import materialise_features
from tastemaker.promotion.bundle import Card, write_bundle
from tastemaker.promotion.model_file import Live
from tastemaker.sequence.config import SequenceConfig
from tastemaker.sequence.model import SequenceModel
from tastemaker.sequence.recommender import Recommender, save_sequence
from tests.tastemaker.assistant.conftest import SPACE, Servers, make_catalogue, serving
from tests.tastemaker.assistant.drill_site import Site, site_of, until
from tests.tastemaker.features.conftest import RedisServer, redis
from tests.tastemaker.promotion.shop import write_live

__all__ = ["redis"]  # a fixture

LATE = "What is known of you is not available right now: answered without it."
PAST = 5  # events of ada's in the dataset


def sequence_of(home: Home, catalogue: Catalogue) -> str:
    """An untrained user model of the catalogue."""
    torch.manual_seed(0)
    facts = read_item_facts(catalogue.dataset, SPACE)
    config = SequenceConfig(width=16, layers=1, heads=2, user_dim=8, max_events=64, threads=1)
    num_items, dim = facts.vectors_ND.shape
    model = SequenceModel(config, dim, num_items)
    vectors, zeros = torch.from_numpy(np.array(facts.vectors_ND)), torch.zeros(num_items)
    recommender = Recommender(model, facts.item_ids, vectors, zeros)
    card = Card(family="sequence", config={}, parents={}, reads=(SPACE,))
    return write_bundle(home, card, lambda folder: save_sequence(recommender, folder)).digest


def materialised(home: Home, features: FeatureConfig) -> Servers:
    """A home whose features are live, with the model servers of its catalogue."""
    catalogue = make_catalogue(home)
    sequence = sequence_of(home, catalogue)
    write_live(home, "local", "recommender", Live(sequence, catalogue.dataset.digest))
    engine = open_database(home.database())
    materialise_features.run(home, catalogue.dataset.digest, sequence, engine, features)
    engine.dispose()
    return Servers(catalogue)


def followed(servers: Servers) -> int:
    """How many events of the user the recommender was last given."""
    return len(servers.asked["recommender"][-1]["events"])


def in_time(told: dict[str, Any]) -> dict[str, Any] | None:
    """A turn that had its features; on a busy machine one reads too late at times, and says so."""
    return None if told["notices"] else told


def opened(site: Site) -> None:
    until(lambda: site.services.features.outbox.opened is not None, 60)


@pytest.mark.slow
def test_a_redis_that_is_restarted_between_two_turns(redis: RedisServer, tmp_path: Path) -> None:
    times = {
        "redis_timeout_s": 0.3,
        "push_wait_s": 1.0,
        "check_s": 120,
    }  # found by a turn, if at all
    features = FeatureConfig(online="redis", redis_url=redis.url, **times)
    home = Home(tmp_path)
    servers = materialised(home, features)
    saved = [item.item_id for item in servers.catalogue.items[20:24]]
    with site_of(home, servers, features=features) as site:
        opened(site)
        until(lambda: site.save("ada", saved[0])["pushed"], 30)
        known = site.events(user_id="ada", action="save")
        begun = until(lambda: in_time(site.ask("pink vase", user="ada")), 30)
        assert followed(servers) == PAST + known

        redis.stop()
        down = site.go_on(begun["conversation"], "red sofa", user="ada")
        assert down["notices"] == [LATE]
        assert down["items"]
        assert followed(servers) == known, "what the log holds is known all the same"
        kept = site.save("ada", saved[1])
        assert kept == {"accepted": 1, "pushed": False}
        assert site.events(user_id="ada", action="save") == known + 1
        redis.start()

        def whole() -> bool:  # what is read while it is filled is less, and says so
            told = site.go_on(begun["conversation"], "red lamp", user="ada")
            return not told["notices"] and followed(servers) == PAST + known + 1

        until(whole, 60)

        redis.stop()
        redis.start()  # nobody asked in between: no error has told of it
        first = site.go_on(begun["conversation"], "blue lamp", user="ada")
        assert first["items"]
        assert first["notices"] == [LATE]
        until(whole, 60)
        turns = site.turns(begun["conversation"], "ada")
        assert {turn["status"] for turn in turns} == {"done"}
        until(lambda: site.events(pushed=False) == 0)


@pytest.mark.slow
def test_a_feature_store_that_cannot_be_opened(tmp_path: Path) -> None:
    features, home = FeatureConfig(check_s=0.2, push_wait_s=0.5), Home(tmp_path)
    servers = materialised(home, features)
    saved = [item.item_id for item in servers.catalogue.items[20:24]]
    folder = home.path("features", "x").parent
    hidden = [path for path in folder.rglob("*.db*") if path.is_file()]
    assert hidden
    for path in hidden:
        path.rename(path.with_name(f"hidden-{path.name}"))
        path.mkdir()  # nothing can be opened there
    with site_of(home, servers, features=features) as site:
        assert site.save("ada", saved[0]) == {"accepted": 1, "pushed": False}
        told = site.ask("pink vase", user="ada")
        assert told["notices"] == [LATE]
        assert told["items"]
        assert followed(servers) == 1
        assert not site.http.get("/healthz").json()["services"]["features"]["ready"]
        for path in hidden:
            path.rmdir()
            path.with_name(f"hidden-{path.name}").rename(path)
        opened(site)
        until(lambda: site.events(pushed=False) == 0, 30)

        def whole() -> bool:  # a busy machine reads too late at times, and says so
            again = site.go_on(told["conversation"], "red lamp", user="ada")
            return again["notices"] == []

        until(whole, 30)
        assert followed(servers) == PAST + 1


class Process:
    """A real gateway process on a home; `kill` it as a machine that loses its power would."""

    def __init__(self, home: Home, url: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        names = ("encoder", "retrieval", "recommender", "router")
        self.command = [sys.executable, "-m", "tastemaker.assistant.gateway"]
        self.command += ["--port", str(self.port)]
        self.command += [part for name in names for part in (f"--{name}-url", url)]
        platform = str(Path(__file__).parents[3] / "platform")
        self.environment = os.environ | {"TASTEMAKER_HOME": str(home.root), "PYTHONPATH": platform}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, env=self.environment)
        until(self._answers, 90)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "the gateway ended"
        try:
            return httpx.get(f"{self.url}/v1/models", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


@contextmanager
def process_of(home: Home, url: str) -> Iterator[Process]:
    running = Process(home, url)
    try:
        running.start()
        yield running
    finally:
        running.kill()


def rows(home: Home, table: str) -> int:
    engine = create_engine(home.database())
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
    engine.dispose()
    return int(found)


@pytest.mark.slow
def test_a_gateway_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    home = Home(tmp_path)
    catalogue = make_catalogue(home)
    sequence = sequence_of(home, catalogue)
    write_live(home, "local", "recommender", Live(sequence, catalogue.dataset.digest))
    servers = Servers(catalogue)
    saved = [item.item_id for item in catalogue.items[20:24]]

    def ask(site: httpx.Client, words: str, key: str, conversation: str | None = None) -> Any:
        body = {
            "messages": [{"role": "user", "content": words}],
            "user": "ada",
            "tastemaker": {"conversation": conversation},
        }
        reply = site.post("/v1/chat/completions", json=body, headers={"Idempotency-Key": key})
        assert reply.status_code == 200
        return reply.json()

    with serving(servers.app()) as url, process_of(home, url) as running:
        site = httpx.Client(base_url=running.url, timeout=60, trust_env=False)
        first = ask(site, "pink vase", "k-1")
        conversation = first["tastemaker"]["conversation"]
        until(lambda: rows(home, "live_events") == len(first["tastemaker"]["items"]))
        events = [{"item_id": item_id, "action": "save"} for item_id in saved]
        body = {"user": "ada", "conversation": conversation, "events": events}
        assert site.post("/api/events", json=body).json()["accepted"] == 4
        board = site.post("/api/boards", json={"user": "ada", "title": "Mine", "items": saved})
        assert board.status_code == 201
        before = {name: rows(home, name) for name in ("turns", "live_events", "boards", "ledger")}

        running.kill()
        running.start()
        assert {name: rows(home, name) for name in before} == before
        query = {"user": "ada"}
        told = site.get(f"/v1/conversations/{conversation}", params=query).json()["turns"]
        assert [turn["question"] for turn in told] == ["pink vase"]
        (kept,) = site.get("/api/boards", params=query).json()["boards"]
        assert [item["item_id"] for item in kept["items"]] == saved
        assert ask(site, "pink vase", "k-1") == first, "a retry gets what the first try got"
        assert rows(home, "turns") == 1
        second = ask(site, "red sofa", "k-2", conversation)
        assert second["tastemaker"]["conversation"] == conversation
        assert second["tastemaker"]["items"][0]["ref"] == "@2#1", "it knows the first list"
        assert [event["item_id"] for event in servers.asked["recommender"][-1]["events"]] == saved

        def slow(_: dict[str, Any]) -> Any:
            begun.set()
            time.sleep(2)
            return 500, {}

        begun = threading.Event()
        retrieve, servers.retrieve = servers.retrieve, slow  # type: ignore[method-assign]
        asking = threading.Thread(target=_broken, args=(ask, site, conversation))
        asking.start()
        begun.wait(20)
        running.kill()  # in the middle of a turn
        asking.join()
        servers.retrieve = retrieve  # type: ignore[method-assign]
        running.start()
        third = ask(site, "blue lamp", "k-3", conversation)
        assert third["tastemaker"]["conversation"] == conversation
        assert third["tastemaker"]["items"][0]["ref"] == "@3#1"
        told = site.get(f"/v1/conversations/{conversation}", params=query).json()["turns"]
        assert [turn["question"] for turn in told] == ["pink vase", "red sofa", "blue lamp"]
        site.close()


def _broken(ask: Any, site: httpx.Client, conversation: str) -> None:
    with pytest.raises(httpx.TransportError):
        ask(site, "blue lamp", "k-3", conversation)
