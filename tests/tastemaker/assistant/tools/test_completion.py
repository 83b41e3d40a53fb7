from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.tools import completion
from tastemaker.assistant.tools.completion import BoardCompleter
from tastemaker.core.home import Home
from tastemaker.data.dataset import write_table
from tastemaker.data.records import BOARDS
from tests.tastemaker.assistant.conftest import SPACE, make_catalogue


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """Items 0 and 40 stand together on each training board; test boards say the contrary."""
    home = Home(tmp_path_factory.mktemp("home"))
    plain = make_catalogue(home)
    ids = [item.item_id for item in plain.items]
    together = {"title": "t", "theme": "t", "items": [ids[0], ids[40], "gone"], "split": "train"}
    apart = {**together, "items": [ids[0], ids[41]], "split": "test"}
    rows = [{**together, "board_id": f"b{n}"} for n in range(9)]
    rows += [{**apart, "board_id": f"t{n}"} for n in range(30)]
    table = write_table(home, "boards", pa.Table.from_pylist(rows, schema=BOARDS))
    dataset = replace(plain.dataset, tables={**plain.dataset.tables, "boards": table})
    return Catalogue(dataset, SPACE)


def test_boards_say_what_belongs_together(catalogue: Catalogue) -> None:
    completer = BoardCompleter(catalogue)
    completer.start().join(30)
    assert completer.model is not None
    first = catalogue.items[0].item_id
    found = completer.beside([first], catalogue.vectors([first]), 5)
    assert found[0][0] == catalogue.items[40].item_id
    assert first not in dict(found)


def test_until_then_and_for_pictures_the_mean_serves(catalogue: Catalogue) -> None:
    completer = BoardCompleter(catalogue)
    first = catalogue.items[0].item_id
    before = completer.beside([first], catalogue.vectors([first]), 8)
    assert len({catalogue.item(i).category for i, _ in before}) >= 4
    assert completer.fit()
    picture = np.concatenate([catalogue.vectors([first])] * 2)
    assert completer.beside([first, None], picture, 8) == before


def test_a_large_catalogue_or_one_without_boards_has_no_model(
    catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not BoardCompleter(make_catalogue(Home(tmp_path))).fit()
    monkeypatch.setattr(completion, "MAX_CELLS", 1000)
    assert not BoardCompleter(catalogue).fit()
