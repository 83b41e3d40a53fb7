"""make_dialogues, train_router and evaluate_router on a small shop."""

import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tastemaker.core.errors import NotFound, SpaceMismatch
from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, write_table
from tastemaker.data.records import BOARDS, EVENTS
from tastemaker.evaluation.tracking import find
from tastemaker.jobs import evaluate_router, make_dialogues, train_router, train_sequence
from tastemaker.promotion.bundle import Card, load_bundle, write_bundle
from tastemaker.router.config import DialoguesConfig, RouterConfig
from tastemaker.router.dialogue_files import open_dialogues
from tastemaker.router.messages import system_message, user_message
from tastemaker.router.model import generate_greedy, load_model
from tastemaker.router.training import Trainer
from tastemaker.sequence.config import SequenceConfig

DIM = 16
DIALOGUES = DialoguesConfig(train=80, val=10, test=20)
ROUTER = RouterConfig(
    hidden=32,
    layers=2,
    heads=1,
    kv_heads=1,
    mlp=64,
    steps=24,
    batch_tokens=600,
    alignment_steps=4,
    threads=1,
    checkpoint_every=5,
)
SEQUENCE = SequenceConfig(
    width=32, layers=1, heads=2, max_events=8, user_dim=8, steps=4, batch_users=4, threads=1
)


def new_home(folder: Path) -> tuple[Home, str, str, str]:
    """Three categories in four colours, two boards, twelve users."""
    home = Home.open(str(folder))
    card = Card(family="encoder", config={}, parents={}, writes_space=True)
    encoder = write_bundle(home, card, lambda folder: None).digest
    kinds = list(itertools.product(("sofa", "lamp", "vase"), ("red", "blue", "green"), range(4)))
    vectors = np.random.default_rng(0).normal(size=(len(kinds), DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    column = f"embedding_{encoder}"
    ids = [f"i{n}" for n in range(len(kinds))]
    items = pa.table(
        {
            "item_id": ids,
            "title": [f"{color} {category}" for category, color, _ in kinds],
            "category": [category for category, _, _ in kinds],
            "attributes": [json.dumps({"color": color}) for _, color, _ in kinds],
            "split": ["test" if k[:2] == ("lamp", "red") else "train" for k in kinds],
            column: pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM),
        }
    )
    boards = pa.table(
        {
            "board_id": ["b0", "b1"],
            "title": ["one", "two"],
            "theme": ["", ""],
            "items": [ids[:4], ids[5:9]],
            "split": ["train", "test"],
        },
        schema=BOARDS,
    )
    rows = [
        (f"u{u}", "s", ids[(u * 5 + t) % len(ids)], "save", "feed", t)
        for u in range(12)
        for t in range(6)
    ]
    events = pa.table(dict(zip(EVENTS.names, zip(*rows, strict=True), strict=True)), schema=EVENTS)
    made = {"items": items, "boards": boards, "events": events}
    tables = {name: write_table(home, name, table) for name, table in made.items()}
    dataset = Dataset(home=home, name="shop", tables=tables, spaces={column: encoder}).save()
    return home, dataset, encoder, train_sequence.run(home, dataset, encoder, SEQUENCE)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, str, str, str]:
    home, *parents = new_home(tmp_path_factory.mktemp("home"))
    dialogues = make_dialogues.run(home, *parents, DIALOGUES)
    return home, parents[1], dialogues, train_router.run(home, dialogues, ROUTER)


def test_dialogues_name_what_they_were_made_from(trained: tuple[Home, str, str, str]) -> None:
    home, encoder, dialogues, _ = trained
    made = open_dialogues(home.path("dialogues", dialogues))
    assert made.meta["parents"]["encoder"] == encoder
    assert [len(made.read(split)) for split in ("train", "val", "test")] == [80, 10, 20]
    assert made.vectors.items_ND.shape == (36, DIM)
    assert made.vectors.users_UD.shape == (12, 8)


def test_killed_and_resumed_it_gives_the_same_bundle(
    trained: tuple[Home, str, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, wanted_dialogues, straight = trained
    home, *parents = new_home(tmp_path / "home")
    dialogues = make_dialogues.run(home, *parents, DIALOGUES)
    assert dialogues == wanted_dialogues
    step = Trainer.step

    def dies(self: Trainer, number: int) -> dict[str, float]:
        if number == 17:
            raise KeyboardInterrupt
        return step(self, number)

    monkeypatch.setattr(Trainer, "step", dies)
    with pytest.raises(KeyboardInterrupt):
        train_router.run(home, dialogues, ROUTER)
    assert list((home.root / "checkpoints").iterdir())
    monkeypatch.setattr(Trainer, "step", step)
    assert train_router.run(home, dialogues, ROUTER) == straight
    assert not list((home.root / "checkpoints").iterdir())


def test_the_bundle_holds_a_model_that_answers(trained: tuple[Home, str, str, str]) -> None:
    home, encoder, dialogues, router = trained
    bundle = load_bundle(home, router, family="router")
    assert bundle.card.reads == (encoder,)
    assert bundle.card.parents["dialogues"] == dialogues
    model, tokenizer = load_model(bundle.path / "model")
    assert (model.config.item_dim, model.config.user_dim) == (DIM, 8)
    messages = [*system_message(np.ones(8)), user_message("a red sofa", {1: np.ones((3, DIM))})]
    assert generate_greedy(model, tokenizer, messages, max_tokens=5)


@pytest.mark.slow
def test_evaluation_scores_rules_too_and_shows_both(trained: tuple[Home, str, str, str]) -> None:
    home, _, dialogues, router = trained
    digest = evaluate_router.run(home, dialogues, router)
    assert evaluate_router.run(home, dialogues, router) == digest
    kept = find(home, router, dialogues)
    assert kept is not None
    metrics = kept.metrics
    assert 0 <= metrics["test_exact_tool_calls"] <= 1
    assert metrics["test_exact_tool_calls_rules"] > 0.3
    assert 0 <= metrics["test_valid_calls"] <= metrics["test_known_tool"] <= 1
    assert kept.cases["test_exact_calls"].keys() >= kept.cases["test_exact_tool_calls"].keys()
    page = home.path("evaluations", router, dialogues, "report.html").read_text()
    assert 0 <= metrics["test_exact_complete_board"] <= 1
    assert "keyword rules" in page
    assert "the one that the router took" in page
    assert "Calls that were wrong" in page


def test_another_space_is_refused(trained: tuple[Home, str, str, str], tmp_path: Path) -> None:
    home, dataset, _, sequence = new_home(tmp_path / "home")
    other = "0" * 16
    with pytest.raises((NotFound, SpaceMismatch), match=other):
        make_dialogues.run(home, dataset, other, sequence, DIALOGUES)
    with pytest.raises(NotFound, match="no dialogues"):
        train_router.run(home, other, ROUTER)


@pytest.mark.slow
def test_two_processes_learn_what_one_does(trained: tuple[Home, str, str, str]) -> None:
    home, _, dialogues, alone = trained
    together = train_router.run(home, dialogues, ROUTER.model_copy(update={"workers": 2}))
    curves = [
        np.array(
            json.loads((load_bundle(home, made, family="router").path / "curve.json").read_text())
        )
        for made in (alone, together)
    ]
    assert len(curves[0]) == ROUTER.steps
    np.testing.assert_allclose(curves[1], curves[0], rtol=0.02)  # products in bfloat16
    assert curves[1][-1] < curves[1][0]
