"""Job: simulated users hold whole conversations with a running assistant, or with two.

    simulations/open-<digest>/conversations.jsonl   while it runs: one line a conversation
    simulations/<digest>/                           when it has ended:
        metrics.json     figures, each with `_low` and `_high` beside it
        cases.json       metric -> conversation -> value, as evaluations keep them
        against-metrics.json, against-cases.json   the same of the other version
        gains.json       ours minus theirs, paired by conversation
        conversations.jsonl, run.json, report.html

A run that was stopped goes on where it was: what has ended is not held again. Users are named
`sim-...`, and all of their data are deleted when their conversation ends.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from tastemaker.core import digests
from tastemaker.core.errors import ConfigError, NotFound, ServiceError
from tastemaker.core.home import Home
from tastemaker.core.progress import Progress
from tastemaker.data.dataset import Dataset, load_dataset
from tastemaker.data.records import BOARDS, EVENTS
from tastemaker.evaluation.simulated_goals import draw_shopper, open_shop
from tastemaker.evaluation.simulated_outcomes import Outcome
from tastemaker.jobs.simulated_client import AssistantClient
from tastemaker.jobs.simulated_talk import Secret, Site, talk
from tastemaker.jobs.simulation_config import SimulationConfig
from tastemaker.jobs.simulation_files import LINES, OURS, THEIRS, alone, keep_result, read_done
from tastemaker.promotion.environment import get_live
from tastemaker.promotion.model_file import MODELS


@dataclass(frozen=True)
class Run:
    """One run, under way or finished.

    Attributes:
        name: Digest of what is run: configuration, addresses, catalogue, live bundles.
        urls: Address by side.
        identity: What the name is the digest of.
    """

    name: str
    urls: Mapping[str, str]
    identity: Mapping[str, Any]


def run(
    home: Home,
    settings: SimulationConfig,
    *,
    url: str,
    against: str = "",
    environment: str = "local",
    keep: bool = False,
) -> str:
    """Hold the conversations and keep what they came to.

    Args:
        home: Holds the dataset version that the assistant serves; results go there.
        settings: Users, words, behaviour.
        url: Base address of the assistant.
        against: Of another version to compare with, on the same users and seeds; "" for none.
        environment: Whose live bundles are noted as what was judged.
        keep: Leave the users' data in the assistant.

    Returns:
        Digest of the result.

    Raises:
        ServiceError: An assistant is not there.
        ConfigError: The two serve different dataset versions, or the same run goes on elsewhere.
    """
    urls = {OURS: url} | ({THEIRS: against} if against else {})
    made = asyncio.run(_identify(home, settings, urls, environment))
    site = _site(home, settings, made)
    path = home.path("simulations", f"open-{made.name}", LINES)
    start = time.perf_counter()
    with alone(path) as file:
        done = read_done(file)
        before = sum(map(len, done.values()))
        asyncio.run(_all(made, site, done, file, keep))
        seconds = time.perf_counter() - start
        held = sum(map(len, done.values())) - before
        digest = keep_result(
            home, made.identity, done, {"held": held, "seconds": round(seconds, 2)}
        )
        path.unlink()
    path.parent.rmdir()
    return digest


async def _identify(
    home: Home, settings: SimulationConfig, urls: Mapping[str, str], environment: str
) -> Run:
    health = {}
    for side, url in urls.items():
        client = AssistantClient(url, settings.timeout_s, 1)
        try:
            told = await client.health()
            health[side] = {name: told[name] for name in ("version", "dataset", "space")}
        except KeyError as error:
            raise ServiceError(f"{url}/healthz says nothing of {error}") from None
        finally:
            await client.close()
    datasets = {one["dataset"] for one in health.values()}
    if len(datasets) > 1:
        raise ConfigError(
            f"the two assistants serve dataset versions {', '.join(sorted(datasets))}: the same "
            "users can meet the same catalogue only"
        )
    identity = {
        "settings": settings.model_dump(mode="json", exclude={"at_once", "timeout_s"}),
        "urls": dict(urls),
        "health": health,
        "live": _live(home, environment),
    }
    return Run(digests.of_json(identity), urls, identity)


def _live(home: Home, environment: str) -> dict[str, str]:
    """Bundles that are live in the environment, by model, as far as this home knows."""
    found = {}
    for model in MODELS:
        try:
            found[model] = get_live(home, environment, model).bundle
        except NotFound:  # an assistant elsewhere: nothing is known of its models
            continue
    return found


def _site(home: Home, settings: SimulationConfig, made: Run) -> Site:
    told = made.identity["health"][OURS]
    dataset = load_dataset(home, told["dataset"])
    column = dataset.vector_column(told["space"])
    fields = ["item_id", "category", "attributes", "price", column]
    items = dataset.read("items", fields)
    shop = open_shop(items, _known_boards(dataset), _events(dataset))
    title = f"kx{made.name[:10]}"
    return Site(
        shop=shop,
        vectors_ND=np.stack(items[column].to_numpy(zero_copy_only=False)),
        set_aside=frozenset(_set_aside(home, dataset) - set(shop.place)),
        secret=Secret(title, tuple(shop.traits.item_ids[:3])),
        config=settings,
    )


def _known_boards(dataset: Dataset) -> pa.Table:
    """All but the test split's; a catalogue may have none."""
    if "boards" not in dataset.tables:
        return BOARDS.empty_table()
    boards = dataset.read("boards", ["items", "split"])
    return boards.filter(pa.compute.not_equal(boards["split"], "test"))


def _events(dataset: Dataset) -> pa.Table:
    columns = ["item_id", "action"]
    if "events" not in dataset.tables:
        return EVENTS.empty_table().select(columns)
    return dataset.read("events", columns)


def _set_aside(home: Home, dataset: Dataset) -> set[str]:
    """Items that curation refused for this version or one that it was made from."""
    found = set[str]()
    for digest in (dataset.digest, *dataset.parents):
        text = home.read_text("datasets", f"{digest}.quarantine.jsonl") or ""
        rows = [json.loads(line) for line in text.splitlines()]
        found |= {row["id"] for row in rows if row["kind"] == "item"}
    return found


async def _all(
    made: Run, site: Site, done: dict[str, dict[str, Outcome]], file: IO[str], keep: bool
) -> None:
    """Every conversation that has not ended yet; both sides of a user close in time."""
    config = site.config
    clients = {
        side: AssistantClient(url, config.timeout_s, config.at_once)
        for side, url in made.urls.items()
    }
    todo = [
        (number, side)
        for number in range(config.users)
        for side in made.urls
        if f"user-{number:05d}" not in done.setdefault(side, {})
    ]
    total, before = config.users * len(made.urls), sum(map(len, done.values()))
    progress = Progress("conversations", total, done=before)
    gate = asyncio.Semaphore(config.at_once)

    async def one(number: int, side: str) -> None:
        async with gate:
            shopper = draw_shopper(site.shop, number, config.seed, config.goals, config.behaviour)
            user = f"sim-{made.name[:8]}-{side}-{number:05d}"
            outcome = await talk(clients[side], site, shopper, user, keep=keep)
            done[side][outcome.case] = outcome
            file.write(json.dumps({"side": side, **outcome.record()}) + "\n")
            file.flush()
            progress.update(sum(map(len, done.values())), _note(done))

    owners = {side: f"sim-{made.name[:8]}-{side}-owner" for side in clients}
    try:
        for side, client in clients.items():
            await client.forget(owners[side])
            await client.keep_board(owners[side], site.secret.title, site.secret.items)
        async with asyncio.TaskGroup() as group:
            for number, side in todo:
                group.create_task(one(number, side))
    finally:
        for side, client in clients.items():
            if not keep:
                await client.forget(owners[side])
            await client.close()


def _note(done: Mapping[str, Mapping[str, Outcome]]) -> str:
    every = [outcome for side in done.values() for outcome in side.values()]
    errors = sum(bool(outcome.error) for outcome in every)
    return f"{sum(outcome.success for outcome in every)} succeeded, {errors} errors"
