"""Cost of a turn: our router and tools against third-party list prices, on the same conversations.

    python -m benchmarks.cost                        (after the chain; a few minutes)
    python -m benchmarks.cost --conversations 20     (a look; writes no result)

Protocol: 200 of the router's test dialogues. Each router step is sent, with its true history, to
the live router in its real engine, 8 conversations at once; the tools that the right calls need
are sent to the live model servers. Core seconds are those of the servers' processes. What the same
steps would cost elsewhere is computed from the requests that the OpenAI-compatible client would
send. Rows compare with the cheapest listed price, its cache discount included: the hardest to beat.
"""

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from rich.console import Console

from benchmarks.rows import row, save
from benchmarks.servers import core_s
from tastemaker.assistant.conversation import ItemList
from tastemaker.assistant.cost_report import OwnRun, compare, show, third_party_tokens
from tastemaker.assistant.http_client import Pool
from tastemaker.assistant.prices import Prices
from tastemaker.assistant.providers.backend import BackendFault
from tastemaker.assistant.providers.openai_compatible import OpenAICompatible
from tastemaker.assistant.providers.own import OwnRouter
from tastemaker.assistant.providers.request import RouterReply, RouterRequest
from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.promotion.bundle import load_bundle
from tastemaker.promotion.environment import get_live
from tastemaker.router import messages as codec
from tastemaker.router.dialogue_files import Dialogue, DialogueSet, open_dialogues
from tastemaker.router.tools import ANSWER, COMPLETE, RECOMMEND, SEARCH, SHOP_ROOM, SIMILAR, TOOLS
from tastemaker.serving import processes
from tastemaker.serving.model_services import services
from tastemaker.serving.services import Service, base_environment

COMMAND = "python -m benchmarks.cost"
CONVERSATIONS, CONCURRENCY, SEED = 200, 8, 0
MACHINE = "cloud-2vcpu"
GOAL = 0.10
START_TIMEOUT_S = 400
# A taste in words, as long as the assistant's own: only its length matters here.
TASTE = "likes lamp (40%), chair (25%), rug (15%); styles modern, scandinavian; last saved a lamp"


@dataclass(frozen=True)
class Step:
    """One router request with the right reply.

    Attributes:
        request: As the gateway would make it.
        name, arguments: The right call.
        goes_on: Whether it follows another step of the same conversation.
    """

    request: RouterRequest
    name: str
    arguments: dict[str, Any]
    goes_on: bool

    @property
    def reply(self) -> dict[str, Any]:
        """The right reply as a message."""
        return codec.assistant_message("call", self.name, self.arguments)

    def is_exact(self, reply: RouterReply) -> bool:
        """Whether a reply is the right call, arguments included."""
        try:
            return codec.read_call(dict(reply.message)) == (self.name, self.arguments)
        except (KeyError, TypeError, ValueError):
            return False


def steps_of(dialogue: Dialogue, made: DialogueSet, texts: Sequence[str]) -> list[Step]:
    """The router requests of a dialogue, each with its true history."""
    steps: list[Step] = []
    lists: list[ItemList] = []
    for place, turn in enumerate(dialogue.turns):
        for _, rows in turn.lists:
            ids = tuple(map(str, rows))
            lists.append(ItemList(ids, made.vectors.items_ND[list(rows)]))
        if turn.role != "assistant":
            continue
        request = RouterRequest(
            dialogue.to_messages(made.vectors, until=place),
            TOOLS,
            tuple(lists),
            lambda item_id: texts[int(item_id)],
            "" if dialogue.user is None else TASTE,
            max_tokens=96,
        )
        steps.append(Step(request, turn.name, turn.arguments or {}, goes_on=bool(steps)))
    return steps


def item_texts(home: Home, dataset: str) -> list[str]:
    """What a third party would read of each item, in the order of the dialogues' rows."""
    rows = load_dataset(home, dataset).read("items", ["title", "category", "price"]).to_pylist()
    return [
        f"{r['title']}; {r['category']}" + ("" if r["price"] is None else f"; {r['price']:g}")
        for r in rows
    ]


@contextmanager
def serving(home: Home, wanted: Sequence[Service]) -> Iterator[dict[str, int]]:
    """Start servers; gives the session number of each by name, and stops all at the end."""
    with tempfile.TemporaryDirectory() as folder:
        started = {}
        try:
            for service in wanted:
                environment = {**base_environment(home), **service.environment}
                if "VLLM_CACHE_ROOT" in environment:
                    environment["VLLM_CACHE_ROOT"] = f"{folder}/vllm"
                log = Path(folder) / service.name
                started[service.name] = processes.start(
                    service.command, environment, log, home=Path(folder)
                )
            for service in wanted:
                wait_until_up(service, started[service.name], Path(folder) / service.name)
            yield {name: process.pid for name, process in started.items()}
        finally:
            for process in started.values():
                processes.stop(processes.session_members(process.pid), grace_s=20)


def wait_until_up(service: Service, process: Any, log: Path) -> None:
    until = time.monotonic() + START_TIMEOUT_S
    while True:
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"{service.name} did not start:\n{log.read_text()[-2000:]}")
        try:
            if httpx.get(service.url + service.health, timeout=2, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)


def core_s_of_session(session: int) -> float:
    """Core seconds that a session's live processes have used so far."""
    return sum(core_s(who.pid) for who in processes.session_members(session))


async def run_router(
    conversations: Sequence[list[Step]], url: str, concurrency: int
) -> tuple[list[tuple[Step, RouterReply, float]], float]:
    """Send every step, some conversations at once.

    Returns:
        (step, reply, ms) of each, and the seconds of the whole.
    """
    waiting, done = list(conversations), []
    async with aclosing(Pool()) as http:
        router = OwnRouter(url, http)

        async def one_after_another() -> None:
            while waiting:
                for step in waiting.pop(0):
                    start = time.monotonic()
                    try:
                        reply = await router.complete(step.request, timeout_s=120)
                    except BackendFault as fault:
                        if fault.kind != "garbage":
                            raise
                        reply = fault.reply or RouterReply({}, 0, 0)
                    done.append((step, reply, (time.monotonic() - start) * 1000))

        start = time.monotonic()
        await asyncio.gather(*(one_after_another() for _ in range(concurrency)))
        return done, time.monotonic() - start


def tool_requests(steps: Sequence[Step]) -> list[tuple[str, dict[str, Any]]]:
    """(server, instance) of each request that the right calls need, without vectors and events."""
    out: list[tuple[str, dict[str, Any]]] = []
    for step in steps:
        words = step.arguments.get("query") or ""
        item = step.arguments.get("item")
        if isinstance(item, dict):
            out.append(("encoder", {"text": item["ref"]}))
        if words and step.name in (SEARCH, SIMILAR, RECOMMEND, COMPLETE, SHOP_ROOM):
            out.append(("encoder", {"text": words}))
        by_words = step.name == RECOMMEND and words
        if step.name in (SEARCH, SIMILAR, COMPLETE, SHOP_ROOM) or by_words:
            out.append(("retrieval", {"k": 10}))
        if step.name == RECOMMEND or not step.goes_on:  # each conversation meets its user once
            out.append(("recommender", {"k": 1000 if words else 10}))
    return out


async def run_tools(
    wanted: Sequence[tuple[str, dict[str, Any]]],
    urls: dict[str, str],
    space: str,
    item_ids: Sequence[str],
) -> None:
    """Send the tool requests, 8 at a time; any vector and any 20 events will do."""
    rng = np.random.default_rng(SEED)
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:

        async def predict(server: str, instance: dict[str, Any]) -> Any:
            url = f"{urls[server]}/v1/models/{server}:predict"
            reply = await http.post(url, json={"instances": [instance]})
            reply.raise_for_status()
            return reply.json()["predictions"][0]

        any_vector = await predict("encoder", {"text": "lamp"})

        async def send(server: str, instance: dict[str, Any]) -> None:
            if server == "retrieval":
                instance = {**instance, "vector": any_vector, "space": space}
            if server == "recommender":
                drawn = rng.choice(len(item_ids), 20)
                events = [{"item_id": item_ids[i], "action": "save"} for i in drawn]
                instance = {**instance, "events": events}
            await predict(server, instance)

        for begin in range(0, len(wanted), CONCURRENCY):
            await asyncio.gather(*(send(*one) for one in wanted[begin : begin + CONCURRENCY]))


def measure(
    home: Home, conversations: Sequence[list[Step]], num_turns: int, concurrency: int
) -> OwnRun:
    """Start what is live, send everything, and count."""
    port = free_ports(5)
    models = [one for one in services(home, "local", port) if one.name != "gateway"]
    wanted = [one.filled(one.port, {}) for one in models if not one.canary]
    urls = {service.name: service.url for service in wanted}
    live = get_live(home, "local", "encoder")
    dataset = get_live(home, "local", "retrieval").dataset
    item_ids = load_dataset(home, dataset).read("items", ["item_id"])["item_id"].to_pylist()
    steps = [step for steps in conversations for step in steps]
    tools = tool_requests(steps)
    with serving(home, wanted) as sessions:
        asyncio.run(run_router(conversations[:4], urls["router"], 2))  # warm
        before_s = core_s_of_session(sessions["router"])
        done, wall_s = asyncio.run(run_router(conversations, urls["router"], concurrency))
        router_core_s = core_s_of_session(sessions["router"]) - before_s
        servers = ("encoder", "retrieval", "recommender")
        asyncio.run(run_tools(tools[:20], urls, live.bundle, item_ids))  # warm
        before = {name: core_s_of_session(sessions[name]) for name in servers}
        asyncio.run(run_tools(tools, urls, live.bundle, item_ids))
        spent = {name: core_s_of_session(sessions[name]) - before[name] for name in servers}
    by_tool = [step.is_exact(reply) for step, reply, _ in done if step.name != ANSWER]
    times = sorted(ms for _, _, ms in done)
    return OwnRun(
        turns=num_turns,
        calls=len(done),
        router_core_s=router_core_s,
        tools={name: (sum(server == name for server, _ in tools), spent[name]) for name in servers},
        wall_s=wall_s,
        cores=os.cpu_count() or 1,
        prompt_tokens=sum(reply.prompt_tokens for _, reply, _ in done),
        completion_tokens=sum(reply.completion_tokens for _, reply, _ in done),
        latency_ms=(statistics.median(times), times[int(0.95 * (len(times) - 1))]),
        concurrency=concurrency,
        exact_tool_calls=statistics.mean(by_tool),
        exact_calls=statistics.mean(step.is_exact(reply) for step, reply, _ in done),
    )


def free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    rng = random.Random()
    while True:
        first = rng.randrange(20_000, 60_000)
        if not any(processes.port_holder(first + n) for n in range(count)):
            return first


def main() -> None:
    """Measure, print, and write the rows of a whole run on the default preset."""
    parser = argparse.ArgumentParser(description="Ours against third-party list prices.")
    parser.add_argument("--conversations", type=int, default=CONVERSATIONS)
    parser.add_argument("--concurrency", type=int, default=CONCURRENCY)
    given = parser.parse_args()
    home, prices = Home.open(), Prices.read()
    bundle = load_bundle(home, get_live(home, "local", "router").bundle, family="router")
    made = open_dialogues(home.path("dialogues", bundle.card.parents["dialogues"]))
    read = made.read("test")
    random.Random(SEED).shuffle(read)
    read = read[: given.conversations]
    texts = item_texts(home, made.meta["parents"]["dataset"])
    conversations = [steps_of(dialogue, made, texts) for dialogue in read]
    num_turns = sum(turn.role == "user" for dialogue in read for turn in dialogue.turns)
    run = measure(home, conversations, num_turns, given.concurrency)
    steps = [step for steps in conversations for step in steps]
    client = OpenAICompatible("https://nobody", Pool(), model="any", name="any")
    tokens = third_party_tokens(
        [step.request for step in steps],
        [step.reply for step in steps],
        [step.goes_on for step in steps],
        client,
    )
    console = Console(width=None if sys.stdout.isatty() else 140)
    show(run, tokens, prices, MACHINE, console)
    if len(read) < CONVERSATIONS or made.meta["config"]["simple"]:
        console.print("no result written: that takes 200 conversations of the default preset")
        return
    ours, theirs = compare(run, tokens, prices, MACHINE)
    cheapest = theirs[0]
    settings = {"seeds": 1, "command": COMMAND}
    save(
        "cost",
        [
            row(
                f"price_ratio: a turn of ours against {cheapest.name}, the cheapest listed, "
                "cached input (baseline: their dollars per 1,000 turns)",
                cheapest.ratio,
                baseline=cheapest.dollars,
                goal=GOAL,
                unit="of the price",
                **settings,
            ),
            row(
                "our dollars per 1,000 turns, tool servers included",
                ours,
                baseline=cheapest.dollars,
                goal=None,
                unit="USD",
                **settings,
            ),
            row(
                "quality_ratio: exact tool calls of ours, theirs taken as 1",
                run.exact_tool_calls,
                baseline=None,
                goal=None,
                unit="fraction",
                **settings,
            ),
        ],
    )


if __name__ == "__main__":
    main()
