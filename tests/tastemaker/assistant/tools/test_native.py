import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import numpy as np
import pytest

from tastemaker.assistant.boards import BoardStore
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.clients import ModelClient, ServiceDown, Upstreams
from tastemaker.assistant.conversation import ItemList
from tastemaker.assistant.tools.native import Tools
from tastemaker.assistant.tools.search import UNLIKE_WEIGHT, blend
from tastemaker.assistant.tools.situation import CallError, Situation, find_list
from tastemaker.core.errors import SpaceMismatch
from tests.tastemaker.assistant.conftest import SPACE, URLS, Servers, embed
from tests.tastemaker.assistant.wires import Wired


@asynccontextmanager
async def tools_of(
    servers: Servers, space: str = SPACE, boards: BoardStore | None = None
) -> AsyncIterator[Tools]:
    async with aclosing(Wired(servers)) as http:
        models = {n: ModelClient(n, URLS[n], http) for n in URLS if n != "router"}
        upstreams = Upstreams(**models, space=space)
        yield Tools(servers.catalogue, upstreams, 5, boards)


def run(
    servers: Servers,
    name: str,
    arguments: Mapping[str, Any],
    lists: Sequence[ItemList] = (),
    user: Mapping[str, Any] | None = None,
    space: str = SPACE,
) -> tuple[ItemList, Situation]:
    situation = Situation(list(lists), user or {"events": []}, None, lambda: 5.0)

    async def execute() -> ItemList:
        async with tools_of(servers, space) as tools:
            result = await tools.execute(name, arguments, situation)
            assert result.items is not None
            return result.items

    return asyncio.run(execute()), situation


def listed(catalogue: Catalogue, *item_ids: str) -> ItemList:
    return ItemList(item_ids, catalogue.vectors(item_ids))


def by_color(catalogue: Catalogue, *colors: str) -> ItemList:
    def one(color: str) -> str:
        return next(i.item_id for i in catalogue.items if i.attributes["color"] == color)

    return listed(catalogue, *(one(color) for color in colors))


def test_a_category_filters_whatever_its_case_and_plural(
    servers: Servers, catalogue: Catalogue
) -> None:
    found, situation = run(servers, "search_items", {"query": "pink", "category": "Vases"})
    assert {catalogue.item(str(i)).category for i in found.item_ids} == {"vase"}
    assert situation.notices == []


def test_an_unknown_category_is_searched_as_words_and_said(servers: Servers) -> None:
    _, situation = run(servers, "search_items", {"query": "pink", "category": "hats"})
    assert servers.asked["encoder"] == [{"text": "pink hats"}]
    assert "category" not in servers.asked["retrieval"][0]
    assert "'hats'" in situation.notices[0]


def test_a_price_is_never_exceeded(servers: Servers, catalogue: Catalogue) -> None:
    found, _ = run(servers, "search_items", {"query": "vase", "max_price": 40})
    assert all((catalogue.item(str(i)).price or 0) <= 40 for i in found.item_ids)


def test_cheaper_than_a_list_is_below_its_median(servers: Servers, catalogue: Catalogue) -> None:
    ids = [item.item_id for item in catalogue.items[:3]]
    prices = sorted(item.price or 0 for item in catalogue.items[:3])
    lists = [listed(catalogue, *ids)]
    run(servers, "search_items", {"query": "vase", "cheaper_than": "@1"}, lists)
    assert servers.asked["retrieval"][0]["max_price"] == pytest.approx(prices[1] - 0.01)


def test_words_lean_towards_liked_items_and_away_from_unliked_ones(
    servers: Servers, catalogue: Catalogue
) -> None:
    pair = by_color(catalogue, "red", "blue")
    picture = ItemList((None,), embed("green")[None])
    arguments = {"query": "vase", "like": ["@1#1", "@2"], "unlike": [{"list": "@1", "ref": "blue"}]}
    found, _ = run(servers, "search_items", arguments, [pair, picture])
    liked = (pair.vectors_ND[0] + embed("green")) / 2
    target = embed("vase") + liked - UNLIKE_WEIGHT * pair.vectors_ND[1]
    sent = np.array(servers.asked["retrieval"][0]["vector"])
    assert sent == pytest.approx(target / np.linalg.norm(target), abs=1e-5)
    assert not set(pair.item_ids) & set(found.item_ids)
    assert len(found) == 5


def test_a_search_for_nothing_is_a_fault(servers: Servers) -> None:
    with pytest.raises(CallError, match="give a query or items to like"):
        run(servers, "search_items", {})


def test_similar_to_one_leaves_that_one_out(servers: Servers, catalogue: Catalogue) -> None:
    item = catalogue.items[4].item_id
    found, _ = run(servers, "similar_items", {"item": "@1#1"}, [listed(catalogue, item)])
    assert item not in found.item_ids
    assert len(found) == 5
    assert servers.asked["retrieval"][0]["vector"] == pytest.approx(
        catalogue.vectors([item])[0].tolist()
    )


def test_similar_to_a_list_is_its_mean(servers: Servers, catalogue: Catalogue) -> None:
    pair = by_color(catalogue, "red", "blue")
    found, _ = run(servers, "similar_items", {"item": "@1"}, [pair])
    assert not set(pair.item_ids) & set(found.item_ids)
    mean = pair.vectors_ND.mean(0)
    sent = np.array(servers.asked["retrieval"][0]["vector"])
    assert sent == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


@pytest.mark.parametrize(("ref", "place"), [("red", 0), ("the blue one", 1)])
def test_a_reference_is_the_item_that_its_words_are_nearest_to(
    servers: Servers, catalogue: Catalogue, ref: str, place: int
) -> None:
    pair = by_color(catalogue, "red", "blue")
    run(servers, "similar_items", {"item": {"list": "@1", "ref": ref}}, [pair])
    sent = servers.asked["retrieval"][0]["vector"]
    assert sent == pytest.approx(pair.vectors_ND[place].tolist())


def test_a_change_keeps_the_kind_and_moves_towards_its_words(
    servers: Servers, catalogue: Catalogue
) -> None:
    kind = catalogue.num_in_category.most_common(1)[0][0]
    one, other = [item for item in catalogue.items if item.category == kind][:2]
    arguments = {"item": "@1#1", "query": f"in {other.attributes['color']}"}
    found, _ = run(servers, "similar_items", arguments, [listed(catalogue, one.item_id)])
    assert servers.asked["retrieval"][0]["category"] == kind
    first = catalogue.item(str(found.item_ids[0])).attributes
    assert first["color"] == other.attributes["color"]


def test_a_change_to_another_kind_searches_that_kind(
    servers: Servers, catalogue: Catalogue
) -> None:
    pair = by_color(catalogue, "red", "blue")
    found, _ = run(servers, "similar_items", {"item": "@1", "query": "a matching vase"}, [pair])
    assert {catalogue.item(str(i)).category for i in found.item_ids} == {"vase"}


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("@1#4", "items #1 to #3"),
        ("@2#1", "are: @1 to @1"),
        ({"list": "@9", "ref": "red"}, "are: @1 to @1"),
        ({"list": "@1", "ref": "  "}, "must be text"),
        ("second", "is not a handle"),
        ("@0#1", "is not a handle"),
    ],
)
def test_handles_out_of_range_are_faults(
    servers: Servers, catalogue: Catalogue, item: Any, said: str
) -> None:
    lists = [listed(catalogue, *(i.item_id for i in catalogue.items[:3]))]
    with pytest.raises(CallError, match=said):
        run(servers, "similar_items", {"item": item}, lists)


def test_recommendations_are_narrowed_down_by_words(servers: Servers, catalogue: Catalogue) -> None:
    plain, _ = run(servers, "recommend", {}, user={"events": []})
    assert list(plain.item_ids) == [i.item_id for i in catalogue.items[::-1][:5]]
    vases, _ = run(servers, "recommend", {"query": "vase"}, user={"events": []})
    assert {catalogue.item(str(i)).category for i in vases.item_ids} == {"vase"}
    # the recommender likes the newest items best
    newest = max(n for n, item in enumerate(catalogue.items) if item.category == "vase")
    assert catalogue.place[str(vases.item_ids[0])] == newest


def test_a_stranger_is_recommended_what_the_model_says_of_no_events(servers: Servers) -> None:
    found, _ = run(servers, "recommend", {})
    assert servers.asked["recommender"] == [{"events": [], "k": 5}]
    assert len(found) == 5


def test_variety_brings_other_kinds(servers: Servers, catalogue: Catalogue) -> None:
    plain, _ = run(servers, "recommend", {"query": "red"})
    same, _ = run(servers, "recommend", {"query": "red", "diversity": "low"})
    varied, _ = run(servers, "recommend", {"query": "red", "diversity": "high"})
    assert same.item_ids == plain.item_ids
    assert varied.item_ids[0] == plain.item_ids[0]
    assert likeness(varied) < likeness(plain)


def test_an_outcome_brings_up_what_leads_to_it(servers: Servers, catalogue: Catalogue) -> None:
    found, situation = run(servers, "recommend", {"outcome": "click"})
    assert situation.notices == ["No click was seen yet: ordered by taste alone."]
    assert len(found) == 5
    assert servers.asked["recommender"] == [{"events": [], "k": 100}]


def likeness(items: ItemList) -> float:
    return float((items.vectors_ND @ items.vectors_ND.T).mean())


def test_another_space_is_refused_with_both_names(servers: Servers) -> None:
    with pytest.raises(SpaceMismatch, match=f"ffff.*{SPACE}"):
        run(servers, "search_items", {"query": "vase"}, space="ffff")


def test_a_server_that_is_down_is_named(servers: Servers) -> None:
    servers.down = {"encoder"}
    with pytest.raises(ServiceDown, match="encoder at http://encoder is not available"):
        run(servers, "search_items", {"query": "vase"})


def test_blend_by_hand() -> None:
    item, change = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert blend(item, change) == pytest.approx([0.5**0.5, 0.5**0.5])
    assert blend(item, change, weight=0.0) == pytest.approx(item)
    assert blend(item, change, weight=1e6) == pytest.approx(change, abs=1e-5)


def test_finding_a_list() -> None:
    first = ItemList(("a",), np.ones((1, 2)))
    assert find_list("@1", [first]) is first
    with pytest.raises(CallError, match="@1 to @1"):
        find_list("@2", [first])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("search_items", {"query": "pink vase"}),
        ("similar_items", {"item": "@1#1"}),
        ("similar_items", {"item": "@1#1", "query": "in pink"}),
        ("complete_board", {"items": "@1"}),
        ("complete_board", {"items": "@1", "query": "pink"}),
        ("recommend", {"query": "pink vase"}),
        ("recommend", {"diversity": "high"}),
    ],
)
def test_what_the_user_hid_is_not_offered_again(
    servers: Servers, catalogue: Catalogue, name: str, arguments: dict[str, Any]
) -> None:
    given = [by_color(catalogue, "green", "pink")]
    seen = [{"item_id": catalogue.items[0].item_id, "action": "save"}]
    first, _ = run(servers, name, arguments, given, {"events": seen})
    hidden, back = (str(item_id) for item_id in first.item_ids[:2])
    events = [(hidden, "save"), (hidden, "hide"), (back, "hide"), (back, "save")]
    user = {"events": [*seen, *({"item_id": i, "action": action} for i, action in events)]}
    second, _ = run(servers, name, arguments, given, user)
    assert hidden not in second.item_ids
    assert len(second) == len(first)
