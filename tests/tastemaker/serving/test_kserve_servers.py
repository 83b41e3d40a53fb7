"""The three KServe servers over real HTTP, on small trained models."""

import base64
import subprocess
from typing import Any

import httpx
import numpy as np
import pytest

from tastemaker.data.dataset import load_dataset
from tastemaker.encoder.storage import load_encoder
from tastemaker.retrieval.index import ItemIndex, Query
from tastemaker.sequence.histories import histories
from tastemaker.sequence.recommender import load_sequence
from tests.tastemaker.serving.conftest import Models, free_port, start_server

pytestmark = pytest.mark.slow


def post(servers: dict[str, str], model: str, body: Any) -> httpx.Response:
    url = f"{servers[model]}/v1/models/{model}:predict"
    if isinstance(body, bytes):
        return httpx.post(url, content=body, timeout=60, trust_env=False)
    return httpx.post(url, json=body, timeout=60, trust_env=False)


def ask(servers: dict[str, str], model: str, *instances: Any) -> dict[str, Any]:
    reply = post(servers, model, {"instances": instances})
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def test_encoder_serves_what_the_library_computes(servers: dict[str, str], models: Models) -> None:
    encoder = load_encoder(models.home.path("bundles", models.encoder))
    image = load_dataset(models.home, models.dataset).read("items", ["image"])["image"][0].as_py()
    encoded = base64.b64encode(image).decode()
    reply = ask(servers, "encoder", {"text": "blue lamp"}, {"image": encoded}, {"text": "a chair"})
    assert reply["space"] == models.encoder
    found = np.array(reply["predictions"], np.float32)
    np.testing.assert_allclose(
        found[[0, 2]], encoder.embed_text(["blue lamp", "a chair"]), atol=1e-6
    )
    np.testing.assert_allclose(found[1], encoder.embed_image([image])[0], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_retrieval_serves_what_the_library_finds(servers: dict[str, str], models: Models) -> None:
    index = ItemIndex(models.home.path("bundles", models.index))
    first, second = index.item_ids[:2]
    vector = index.vector(first).tolist()
    by_vector, by_items = ask(
        servers,
        "retrieval",
        {"vector": vector, "k": 3, "space": models.encoder},
        {"like": [first], "unlike": [second], "k": 5, "max_price": 50, "space": models.encoder},
    )["predictions"]
    assert by_vector[0]["item_id"] == first
    assert by_vector[0]["score"] == pytest.approx(1, abs=1e-3)
    wanted = Query(like=[first], unlike=[second], k=5, max_price=50)
    expected = [hit.item_id for hit in index.search(wanted, space=models.encoder)]
    assert [hit["item_id"] for hit in by_items] == expected


def test_recommender_serves_whoever_the_events_are_of(
    servers: dict[str, str], models: Models
) -> None:
    recommender = load_sequence(models.home.path("bundles", models.sequence))
    events = load_dataset(models.home, models.dataset).read("events")
    history = histories(events, recommender.item_ids)[0]
    loose = [
        {
            "item_id": recommender.item_ids[item],
            "action": ("impression", "closeup", "save", "click", "hide")[action],
        }
        for item, action in zip(history.items, history.actions, strict=True)
    ]
    known, nobody = ask(servers, "recommender", {"events": loose, "k": 5}, {"events": [], "k": 5})[
        "predictions"
    ]
    expected = recommender.recommend(history, 5)
    assert [item["item_id"] for item in known["items"]] == [item for item, _ in expected]
    np.testing.assert_allclose(
        known["user_embedding"], recommender.user_embedding(history), atol=1e-6
    )
    assert not any(nobody["user_embedding"])  # popular items for somebody unknown
    assert len(nobody["items"]) == 5


def test_each_reply_names_its_bundle_and_its_space(servers: dict[str, str], models: Models) -> None:
    """On a cluster nobody else says so."""
    wrong = {"instances": "?"}
    bundles = {"encoder": models.encoder, "retrieval": models.index, "recommender": models.sequence}
    for model, bundle in bundles.items():
        assert post(servers, model, wrong).headers["x-tastemaker-bundle"] == bundle
    reply = post(servers, "recommender", {"instances": [{"events": []}]})
    assert reply.headers["x-tastemaker-bundle"] == models.sequence
    assert reply.json()["space"] == models.encoder


@pytest.mark.parametrize(
    ("model", "body", "said"),
    [
        ("encoder", [], "JSON object"),
        ("encoder", b"{", "Unrecognized request format"),
        ("encoder", {"instances": []}, "list of 1 to 64, got 0"),
        ("encoder", {"instances": [{"text": "x"}] * 65}, "list of 1 to 64, got 65"),
        ("encoder", {"instances": [{}]}, 'either "text" or "image"'),
        ("encoder", {"instances": [{"text": 5}]}, "instances.0.text=5"),
        ("encoder", {"instances": [{"text": "x" * 2001}]}, "at most 2000 characters"),
        ("encoder", {"instances": [{"image": "?"}]}, "base64"),
        ("encoder", {"instances": [{"image": "aGFsbG8="}]}, "cannot be decoded"),
        ("retrieval", {"instances": [{"k": 3}]}, "instances.0.space"),
        ("retrieval", {"instances": [{"space": "SPACE"}]}, "nothing to search for"),
        ("retrieval", {"instances": [{"vector": [1, 2], "space": "SPACE"}]}, "128 finite numbers"),
        ("retrieval", {"instances": [{"like": ["zz"], "space": "SPACE"}]}, "no item 'zz'"),
        ("retrieval", {"instances": [{"like": ["zz"], "space": "other"}]}, "other"),
        ("retrieval", {"instances": [{"k": 0, "space": "SPACE"}]}, "instances.0.k=0"),
        ("retrieval", {"instances": [{"vectr": [1], "space": "SPACE"}]}, "instances.0.vectr"),
        ("recommender", {"instances": [{"user_id": "zz"}]}, "events"),
        ("recommender", {"instances": [{"events": [{"item_id": "zz", "action": "save"}]}]}, "zz"),
    ],
)
def test_what_a_client_gets_wrong_is_400_with_the_value_and_the_rule(
    servers: dict[str, str], models: Models, model: str, body: Any, said: str
) -> None:
    if isinstance(body, dict):
        for instance in body["instances"]:
            if instance.get("space") == "SPACE":
                instance["space"] = models.encoder
    reply = post(servers, model, body)
    assert reply.status_code == 400, reply.text
    assert said in reply.json()["error"]


def test_another_space_names_both(servers: dict[str, str], models: Models) -> None:
    body = {"instances": [{"vector": [0.0] * 128, "space": "0123456789abcdef"}]}
    error = post(servers, "retrieval", body).json()["error"]
    assert models.encoder in error
    assert "0123456789abcdef" in error


def test_a_huge_body_is_refused_and_an_unknown_model_is_404(servers: dict[str, str]) -> None:
    assert post(servers, "encoder", b" " * (33 << 20)).status_code == 413
    other = httpx.post(f"{servers['encoder']}/v1/models/x:predict", json={}, trust_env=False)
    assert other.status_code == 404


def test_metrics_count_predictions_by_model(servers: dict[str, str]) -> None:
    ask(servers, "encoder", {"text": "x"})
    text = httpx.get(f"{servers['encoder']}/metrics", trust_env=False).text
    assert 'request_predict_seconds_count{model_name="encoder"}' in text


def test_a_bundle_of_another_family_is_refused_at_start(models: Models, tmp_path: Any) -> None:
    words = ["--model-dir", str(models.home.path("bundles", models.index))]
    words += ["--http-port", str(free_port())]
    process = start_server("encoder", words, tmp_path / "log")
    try:
        assert process.wait(120) == 2
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines == [f"error: bundle {models.index} is of family 'index', not 'encoder'"]
