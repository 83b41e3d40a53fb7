import dataclasses
import io

import pytest
from PIL import Image

from tastemaker.assistant.catalogue import Catalogue, Item
from tastemaker.assistant.examples import sample_users, suggestions
from tastemaker.core.errors import NotFound
from tastemaker.core.home import Home
from tests.tastemaker.assistant.conftest import SPACE, embed


def test_vectors_and_pictures_are_those_of_the_item(catalogue: Catalogue) -> None:
    item = catalogue.items[5]
    words = f"{item.category} {' '.join(item.attributes.values())}"
    assert catalogue.vectors([item.item_id])[0] == pytest.approx(embed(words))
    assert Image.open(io.BytesIO(catalogue.image(item.item_id))).size == (96, 96)


def test_what_is_not_there_is_named(catalogue: Catalogue) -> None:
    with pytest.raises(NotFound, match="'nothing'"):
        catalogue.item("nothing")
    with pytest.raises(NotFound, match="no vectors of embedding space"):
        Catalogue(catalogue.dataset, "f" * 16)
    with pytest.raises(NotFound, match="no retrieval is live in environment 'staging'"):
        Catalogue.live(catalogue.dataset.home, "staging")


@pytest.mark.parametrize("word", ["vase", "Vase", " VASES "])
def test_a_category_is_found_by_its_forms(catalogue: Catalogue, word: str) -> None:
    assert catalogue.category(word) == "vase"
    assert catalogue.category("hat") is None


def test_an_id_with_a_slash_has_a_safe_address() -> None:
    item = Item("a/b c?.jpg", "t", "", "c", {}, None)
    assert item.image_url == "/items/a%2Fb%20c%3F.jpg/image"


def test_suggestions_come_from_what_the_catalogue_holds(catalogue: Catalogue) -> None:
    found = suggestions(catalogue)
    assert len(found) == len(set(found)) == 6
    color, category = found[0].removeprefix("show me a ").split()
    held = [(i.attributes["color"], i.category) for i in catalogue.items]
    assert held.count((color, category)) == 3
    assert found[1] == "something for me"
    assert any(" under " in question for question in found)
    assert not any("a orange" in question for question in found)


def test_users_come_with_what_they_save(catalogue: Catalogue) -> None:
    (user,) = sample_users(catalogue)
    assert len(user["likes"]) == 2
    without = {k: v for k, v in catalogue.dataset.tables.items() if k != "events"}
    bare = Catalogue(dataclasses.replace(catalogue.dataset, tables=without), SPACE)
    assert sample_users(bare) == []


def test_a_live_catalogue_needs_a_home(tmp_path: object) -> None:
    with pytest.raises(NotFound, match="tastemaker pipeline run"):
        Catalogue.live(Home.open(str(tmp_path)), "local")
