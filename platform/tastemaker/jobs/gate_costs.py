"""What a request to a bundle takes, and to the live one in turns: the machine is busy for both."""

import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.evaluation.gates import Measured
from tastemaker.evaluation.intervals import Interval, of_median
from tastemaker.promotion.bundle import Bundle

ROUNDS, REQUESTS = 21, 8  # of each bundle; a round's ratio is one measurement
FASTEST = 0.1  # quantile of all requests: what other processes took is not the bundle's
K = 10

Request = Callable[[int], object]  # the number says which of a few inputs


def run(home: Home, candidate: Bundle, live: Bundle | None, on: str) -> Measured:
    """Measure a bundle, beside the live one where there is another.

    Args:
        home: Where everything lives.
        candidate: Whose figures are wanted.
        live: What is live; the candidate itself counts as none to compare with.
        on: Dataset version, of a router: dialogues.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a server's core, and steadier than two that others share
    try:
        other = live if live and live.digest != candidate.digest else None
        requests = [_request(home, bundle, on) for bundle in (candidate, other) if bundle]
        times = np.array([_round(requests, number) for number in range(ROUNDS + 1)])[1:]
    finally:
        torch.set_num_threads(threads)
    wall, cpu = times[..., 0], times[..., 1]  # (rounds, bundles, requests)
    return Measured(
        request_ms=float(np.quantile(wall[:, 0], FASTEST)) * 1000,
        cpu_ms=float(np.quantile(cpu[:, 0], FASTEST)) * 1000,
        mib=_mib(candidate.path),
        time_ratio=_ratio(wall) if other else None,
        cpu_ratio=_ratio(cpu) if other else None,
        live_mib=_mib(other.path) if other else 0.0,
    )


def _round(requests: Sequence[Request], number: int) -> list[list[tuple[float, float]]]:
    """Wall and CPU seconds of some requests to each, who begins taking turns."""
    order = range(len(requests)) if number % 2 else reversed(range(len(requests)))
    found: dict[int, list[tuple[float, float]]] = {}
    for which in order:
        found[which] = [_timed(requests[which], number * REQUESTS + n) for n in range(REQUESTS)]
    return [found[which] for which in range(len(requests))]


def _timed(request: Request, number: int) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    request(number)
    return time.perf_counter() - wall, time.process_time() - cpu


def _ratio(times: np.ndarray) -> Interval:
    sums = np.maximum(times.sum(2), 1e-9)
    return of_median(sums[:, 0] / sums[:, 1])


def _mib(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def _request(home: Home, bundle: Bundle, on: str) -> Request:
    make = {"encoder": _encoder, "index": _index, "sequence": _sequence, "router": _router}
    return make[bundle.card.family](home, bundle, on)


def _encoder(home: Home, bundle: Bundle, dataset: str) -> Request:
    from tastemaker.encoder.storage import load_encoder

    encoder = load_encoder(bundle.path)
    titles = load_dataset(home, dataset).read("items", ["title"])["title"].to_pylist()
    asked = list(islice(cycle(titles), REQUESTS * 4))
    return lambda number: encoder.embed_text([asked[number % len(asked)]])


def _index(home: Home, bundle: Bundle, dataset: str) -> Request:
    from tastemaker.retrieval.index import ItemIndex, Query

    index = ItemIndex(bundle.path)
    known = [
        item
        for item in load_dataset(home, dataset).read("items", ["item_id"])["item_id"].to_pylist()
        if item in index.row_of
    ]
    asked = list(islice(cycle(known or index.item_ids), REQUESTS * 4))
    return lambda number: index.search(
        Query(like=[asked[number % len(asked)]], k=K), space=index.space
    )


def _sequence(home: Home, bundle: Bundle, dataset: str) -> Request:
    from tastemaker.sequence.histories import histories
    from tastemaker.sequence.recommender import load_sequence
    from tastemaker.sequence.shop import Shop

    data = load_dataset(home, dataset)
    recommender = load_sequence(bundle.path)
    shop = Shop(recommender, data.read("items", ["item_id"])["item_id"].to_pylist())
    users = [shop.read(user) for user in histories(data.read("events"), shop.item_ids)[:32]]
    return lambda number: recommender.recommend(users[number % len(users)], K)


def _router(home: Home, bundle: Bundle, dialogues: str) -> Request:
    import torch

    from tastemaker.jobs import dialogue_vectors
    from tastemaker.router.batches import collate, encode, pad_id
    from tastemaker.router.dialogue_files import open_dialogues
    from tastemaker.router.model import load_model

    made = open_dialogues(home.fetch("dialogues", dialogues))
    vectors = dialogue_vectors.run(home, made, bundle)
    model, tokenizer = load_model(bundle.path / "model")
    examples = encode(made.read("test")[:REQUESTS], tokenizer)
    batches = [collate([example], vectors, pad_id(tokenizer)) for example in examples]

    @torch.inference_mode()
    def read(number: int) -> object:
        one = batches[number % len(batches)]
        return model.head(model(one.ids_BT, one.items_MD, one.places_M, one.users_MD)[:, -1])

    return read
