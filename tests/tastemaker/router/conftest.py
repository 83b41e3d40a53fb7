import itertools
import json
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from tastemaker.router.config import DialoguesConfig, RouterConfig
from tastemaker.router.dialogue_files import Dialogue, Vectors
from tastemaker.router.dialogues import make_dialogue, nearest
from tastemaker.router.draft import Stock
from tastemaker.router.lexicon import Lexicon, read_lexicon
from tastemaker.router.model import RouterModel, model_config
from tastemaker.router.phrases import make_shelf
from tastemaker.router.tokenizer import build_tokenizer
from tastemaker.router.vocabulary import vocabulary

DIM = 16


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small matrices are slower on two threads when neighbours hold the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def rows() -> list[dict[str, str]]:
    """Sofas, lamps and vases in four colours and two materials; red lamps are test items."""
    kinds = (("sofa", "couch"), ("lamp", "luminaire"), ("vase", "vase"))
    colors = ("red", "blue", "green", "white")
    found = []
    for n, ((category, noun), color, material, style) in enumerate(
        itertools.product(kinds, colors, ("oak", "metal"), ("modern", "rustic"))
    ):
        values = {"color": color, "material": material, "style": style}
        found.append(
            {
                "item_id": f"i{n:03d}",
                "title": f"{style.title()} {color} {noun if n % 2 else category}",
                "category": category,
                "attributes": json.dumps(values),
                "split": "test" if (color, category) == ("red", "lamp") else "train",
            }
        )
    return found


@pytest.fixture(scope="session")
def lexicon(rows: list[dict[str, str]]) -> Lexicon:
    return read_lexicon(rows, heldout_frac=0.05)


@pytest.fixture(scope="session")
def vectors(rows: list[dict[str, str]]) -> Vectors:
    rng = np.random.default_rng(0)
    items = rng.normal(size=(len(rows), DIM)).astype(np.float16).astype(np.float32)
    return Vectors(items, rng.normal(size=(5, DIM)).astype(np.float32))


@pytest.fixture(scope="session")
def stock(lexicon: Lexicon, vectors: Vectors) -> Stock:
    shelves = (make_shelf(lexicon, test=False), make_shelf(lexicon, test=True))
    boards = {"train": ((0, 5, 9), (1, 2, 3, 4)), "test": ((7, 8, 9),)}
    return Stock(shelves, nearest(vectors.items_ND, 20), boards, len(vectors.users_UD))


@pytest.fixture(scope="session")
def tokenizer(lexicon: Lexicon) -> PreTrainedTokenizerFast:
    return build_tokenizer(vocabulary(lexicon))


@pytest.fixture(scope="session")
def dialogues(stock: Stock) -> list[Dialogue]:
    return [make_dialogue(stock, DialoguesConfig(), "train", n) for n in range(150)]


@pytest.fixture
def small() -> RouterConfig:
    return RouterConfig(hidden=64, layers=2, heads=2, kv_heads=1, mlp=128, threads=1)


@pytest.fixture
def model(small: RouterConfig, tokenizer: PreTrainedTokenizerFast) -> RouterModel:
    torch.manual_seed(0)
    return RouterModel(model_config(small, tokenizer, item_dim=DIM, user_dim=DIM))
