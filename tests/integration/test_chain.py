"""The chain end to end: resumed after SIGKILL, cached, evaluated, served, answered, stopped."""

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import yaml

from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.jobs.full_stack import STEPS
from tastemaker.promotion.bundle import load_bundle, write_bundle
from tastemaker.promotion.evidence import verify
from tastemaker.promotion.repository import open_repository
from tastemaker.promotion.verification import evidence_lines, keys_at
from tests.integration.conftest import Chain, environment, start_pipeline, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
MODELS = ("encoder", "retrieval", "recommender", "router")


def steps(output: str) -> list[str]:
    return re.findall(r"^== ([\w-]+)", output, re.M)


def test_a_killed_run_is_resumed_without_redoing_finished_steps(chain: Chain) -> None:
    before, after = steps(chain.first), steps(chain.second)
    assert before[-1] == "train-router"
    assert {"curate", "train-encoder", "train-sequence"} <= set(before)
    assert set(before[:-1]).isdisjoint(after)
    assert "train-router" in after
    assert {"gate", "gate-2", "gate-3", "gate-4"} <= set(after)
    assert after[-1] == "promote"
    chain_steps = {step.replace("_", "-") for step in STEPS}
    assert chain_steps <= set(before) | set(after)


def test_nothing_half_written_stays(chain: Chain) -> None:
    assert not list((chain.home / "tmp").iterdir())
    assert not list((chain.home / "checkpoints").glob("*"))


def test_a_second_run_judges_and_promotes_nothing_new(chain: Chain) -> None:
    before = head(chain.home)
    again = chain.tastemaker("pipeline", "run", "full_stack", "--preset", "tiny")
    assert again.returncode == 0, again.stdout + again.stderr
    assert sorted(steps(again.stdout)) == ["gate", "gate-2", "gate-3", "gate-4", "promote"]
    assert head(chain.home) == before


def test_a_run_killed_elsewhere_gives_the_same_bundles(chain: Chain, tmp_path: Path) -> None:
    """Killed in several stages in turn, a fresh home ends with equal models (and so metrics)."""
    home, log = tmp_path / "home", tmp_path / "log"
    home.mkdir()
    for step in ("curate", "train-encoder", "train-sequence"):
        process = start_pipeline(home, log)
        wait_for(log, f"== {step}", process, timeout_s=300)
        time.sleep(1)
        process.kill()
        process.wait()
    process = start_pipeline(home, log)
    wait_for(log, "== make-dialogues", process, timeout_s=400)
    process.kill()
    process.wait()
    made = {path.name for path in (home / "bundles").iterdir()}
    for model in ("encoder", "recommender"):
        assert chain.live(model)["bundle"] in made


def head(home: Path) -> str:
    return open_repository(Home(home)).fetch()


def test_what_is_live_was_promoted_with_signed_evidence(chain: Chain) -> None:
    git, commit = open_repository(Home(chain.home)).git, head(chain.home)
    assert len(git.commits(commit)) == 2  # the key, the set
    message = git.message(commit)
    run = re.search(r"Reason: Made by the pipeline run (full-stack-\S+/\S+)", message)
    assert run
    trusted = keys_at(git, git.parents(commit)[0])
    found = {one.model: one for one in (verify(x, trusted) for x in evidence_lines(message))}
    for model in MODELS:
        live = chain.live(model)
        assert found[model].bundle == live["bundle"]
        assert found[model].dataset == live["dataset"]
        assert found[model].passed
        assert found[model].run == run[1]


def test_every_live_bundle_is_whole_and_evaluated(chain: Chain) -> None:
    for model in MODELS:
        bundle = chain.live(model)["bundle"]
        card = yaml.safe_load((chain.home / "bundles" / bundle / "bundle.yaml").read_text())
        assert card["family"] in {"encoder", "index", "sequence", "router"}
        if card["family"] != "index":
            assert chain.metrics(bundle)
            (report,) = (chain.home / "evaluations" / bundle).glob("*/report.html")
            assert "<img" in report.read_text()


def test_models_read_one_space(chain: Chain) -> None:
    space = chain.live("encoder")["bundle"]
    for model in ("retrieval", "recommender", "router"):
        bundle = chain.live(model)["bundle"]
        card = yaml.safe_load((chain.home / "bundles" / bundle / "bundle.yaml").read_text())
        assert card["reads"] == [space]


def test_mlflow_has_a_registered_version_of_each(chain: Chain) -> None:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{chain.home}/mlflow.db")
    for family, model in (
        ("encoder", "encoder"),
        ("sequence", "recommender"),
        ("router", "router"),
    ):
        versions = client.search_model_versions(f"name='tastemaker-{family}'")
        assert chain.live(model)["bundle"] in {v.tags.get("bundle") for v in versions}


def test_real_kserve_requests(served: tuple[Chain, int]) -> None:
    chain, port = served
    embedded = httpx.post(
        f"http://127.0.0.1:{port + 1}/v1/models/encoder:predict",
        json={"instances": [{"text": "blue lamp"}]},
        timeout=30,
    ).json()
    assert embedded["space"] == chain.live("encoder")["bundle"]
    found = httpx.post(
        f"http://127.0.0.1:{port + 2}/v1/models/retrieval:predict",
        json={
            "instances": [
                {"vector": embedded["predictions"][0], "k": 5, "space": embedded["space"]}
            ]
        },
        timeout=30,
    ).json()
    assert len(found["predictions"][0]) == 5
    refused = httpx.post(
        f"http://127.0.0.1:{port + 2}/v1/models/retrieval:predict",
        json={"instances": [{"vector": embedded["predictions"][0], "k": 5, "space": "other"}]},
        timeout=30,
    )
    assert refused.status_code == 400
    assert "other" in refused.text
    assert embedded["space"] in refused.text


def test_a_real_router_answer_contains_a_tool_call(served: tuple[Chain, int]) -> None:
    _, port = served
    base = f"http://127.0.0.1:{port}"
    question = httpx.get(f"{base}/api/suggestions", timeout=30).json()
    question = question["suggestions"][0] if isinstance(question, dict) else question[0]
    reply = httpx.post(
        f"{base}/v1/chat/completions",
        json={"model": "tastemaker", "messages": [{"role": "user", "content": question}]},
        timeout=120,
    )
    assert reply.status_code == 200, reply.text
    turn = reply.json()["tastemaker"]
    assert turn["steps"][0]["tool"] in {"search_items", "similar_items", "recommend"}, turn
    assert turn["items"], turn
    image = httpx.get(base + turn["items"][0]["image_url"], timeout=30)
    assert image.content.startswith(b"\xff\xd8")


def test_what_is_saved_is_known_to_the_next_turn(served: tuple[Chain, int]) -> None:
    _, port = served
    user = "user-00003"
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as http:
        before = http.get(f"/api/users/{user}").json()
        assert before["recent"], "the chain materialised the simulated users' histories"
        assert before["missing"] == ["session_history"]
        asked = {"messages": [{"role": "user", "content": "something for me"}], "user": user}
        first = http.post("/v1/chat/completions", json=asked).json()["tastemaker"]
        assert first["items"]
        assert first["notices"] == []
        saved = [item["item_id"] for item in first["items"][:3]]
        events = [{"item_id": item_id, "action": "save"} for item_id in saved]
        body = {"user": user, "conversation": first["conversation"], "events": events}
        assert http.post("/api/events", json=body).json() == {"accepted": 3, "pushed": True}
        after = http.get(f"/api/users/{user}").json()
        assert after["counts"]["save_1d"] == before["counts"]["save_1d"] + 3
        assert [item["item_id"] for item in after["recent"][:3]] == saved[::-1]
        asked["tastemaker"] = {"conversation": first["conversation"]}
        second = http.post("/v1/chat/completions", json=asked).json()["tastemaker"]
        assert not set(saved) & {item["item_id"] for item in second["items"]}


def test_a_forgotten_user_is_gone_everywhere(served: tuple[Chain, int]) -> None:
    chain, port = served
    user = "user-00004"
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as http:
        item = http.get(f"/api/users/{user}").json()["recent"][0]["item_id"]
        http.post("/api/boards", json={"user": user, "title": "mine", "items": [item]})
        http.post(
            "/api/events", json={"user": user, "events": [{"item_id": item, "action": "save"}]}
        )
        asked = {"messages": [{"role": "user", "content": "something for me"}], "user": user}
        told = http.post("/v1/chat/completions", json=asked).json()["tastemaker"]
        gone = http.delete(f"/api/users/{user}").json()["deleted"]
        assert (gone["boards"], gone["conversations"], gone["turns"]) == (1, 1, 1)
        assert gone["events"] >= 1
        assert gone["features"] >= 1
        after = http.get(f"/api/users/{user}").json()
        assert (after["recent"], after["num_events"], after["num_boards"]) == ([], 0, 0)
        where = f"/v1/conversations/{told['conversation']}"
        assert http.get(where, params={"user": user}).status_code == 404
    live = chain.live("recommender")["dataset"]
    collected = chain.tastemaker("collect-events", "--dataset", live)
    assert collected.returncode == 0, collected.stderr
    version = collected.stdout.strip().splitlines()[-1]
    assert version != live
    events = load_dataset(Home(chain.home), version).read("events", ["user_id"])
    users = set(events["user_id"].to_pylist())
    assert user not in users
    assert "user-00003" in users


def test_the_official_client_talks_to_the_real_router(served: tuple[Chain, int]) -> None:
    from openai import OpenAI

    _, port = served
    with OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none") as client:
        stream = client.chat.completions.create(
            model="tastemaker",
            messages=[{"role": "user", "content": "something for me"}],
            user="user-00005",
            stream=True,
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        assert text
        first = client.responses.create(model="tastemaker", input="something for me")
        assert first.status == "completed"
        second = client.responses.create(
            model="tastemaker", input="more like the first one", previous_response_id=first.id
        )
        assert second.output_text
        assert client.responses.retrieve(second.id).output_text == second.output_text


def test_an_mcp_client_calls_the_native_tools(served: tuple[Chain, int]) -> None:
    import asyncio

    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    _, port = served

    async def use() -> tuple[set[str], list[dict[str, object]]]:
        async with Client(streamable_http_client(f"http://127.0.0.1:{port}/mcp")) as client:
            listed = await client.list_tools()
            found = await client.call_tool("search_items", {"query": "a blue lamp"})
            assert not found.is_error
            assert found.structured_content is not None
            return {tool.name for tool in listed.tools}, found.structured_content["items"]

    names, items = asyncio.run(use())
    assert {"search_items", "similar_items", "recommend", "complete_board", "shop_room"} <= names
    assert {"board_get", "board_save"} <= names
    assert "answer" not in names
    assert items
    picture = httpx.get(str(items[0]["image_url"]), timeout=30)
    assert picture.content.startswith(b"\xff\xd8")


def test_ask_prints_an_answer(served: tuple[Chain, int]) -> None:
    chain, port = served
    asked = chain.tastemaker("ask", "--first", "--url", f"http://127.0.0.1:{port}")
    assert asked.returncode == 0, asked.stdout + asked.stderr
    assert "/items/" in asked.stdout


def test_page_in_chromium_shows_pictures(served: tuple[Chain, int], tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        assert not os.environ.get("CI"), "CI must have Chromium"
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    _, port = served
    with sync_playwright() as play:
        launched = play.chromium.launch(
            executable_path=browser,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = launched.new_page(viewport={"width": 1100, "height": 900})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://127.0.0.1:{port}/")
        question = httpx.get(f"http://127.0.0.1:{port}/api/suggestions", timeout=30).json()
        question = question["suggestions"][0] if isinstance(question, dict) else question[0]
        page.get_by_role("textbox", name="Your question").fill(question)
        page.keyboard.press("Enter")
        picture = page.locator("img[src*='/items/']")
        picture.first.wait_for(state="visible", timeout=90_000)
        picture.first.scroll_into_view_if_needed()
        for _ in range(100):
            if picture.first.evaluate("image => image.complete && image.naturalWidth > 0"):
                break
            page.wait_for_timeout(100)
        else:
            pytest.fail("the picture did not load")
        page.screenshot(path=os.environ.get("TASTEMAKER_SCREENSHOT", str(tmp_path / "page.png")))
        launched.close()
    assert errors == []


def test_up_again_is_quick_and_a_taken_port_is_named(
    served: tuple[Chain, int], tmp_path: Path
) -> None:
    chain, port = served
    start = time.monotonic()
    again = chain.tastemaker("up", "--port", str(port))
    assert again.returncode == 0, again.stderr
    assert time.monotonic() - start < 30
    other = tmp_path / "other"
    for name in ("git", "keys"):
        shutil.copytree(chain.home / name, other / name)
    (other / "bundles").symlink_to(chain.home / "bundles")
    elsewhere = Chain(other, "", "").tastemaker("up", "--port", str(port))
    assert elsewhere.returncode != 0
    named = re.search(r"error: port (\d+), which \w+ needs, is in use by pid \d+", elsewhere.stderr)
    assert named, elsewhere.stderr
    assert int(named.group(1)) in range(port, port + 5)


def test_a_promotion_is_followed_and_one_command_restores_what_was_live(
    served: tuple[Chain, int],
) -> None:
    """The same index under another digest: judged, promoted, served; then rolled back."""
    chain, port = served
    home, old = Home(chain.home), chain.live("retrieval")
    before = load_bundle(home, old["bundle"])
    card = replace(before.card, metrics={**(before.card.metrics or {}), "copied": 1.0})

    def copy(folder: Path) -> None:
        shutil.copytree(before.path, folder, ignore=lambda *_: ["bundle.yaml"], dirs_exist_ok=True)

    new = write_bundle(home, card, copy).digest
    refused = chain.tastemaker("promote", new, "--to", "local")
    assert refused.returncode == 2
    assert f"no evidence of bundle {new}" in refused.stderr
    words = ("gate", "retrieval", new, "--dataset", old["dataset"], "--preset", "tiny")
    judged = chain.tastemaker(*words)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    promoted = chain.tastemaker("promote", new, "--to", "local", "--why", "a copy")
    assert promoted.returncode == 0, promoted.stderr
    wait_until(lambda: answering(port + 2) == new)
    back = chain.tastemaker("rollback", "retrieval", "--why", "it was a test")
    assert back.returncode == 0, back.stderr
    wait_until(lambda: answering(port + 2) == old["bundle"])
    told = chain.tastemaker("history", "retrieval").stdout
    assert "Roll back retrieval of local" in told.splitlines()[0]
    assert chain.tastemaker("diff", "local", "local").returncode == 0
    status = chain.tastemaker("status").stdout
    assert "git/manifests.git (main) at " in status


def answering(port: int) -> str:
    """Bundle that answers at a model's address."""
    reply = httpx.get(f"http://127.0.0.1:{port}/v1/models/retrieval", timeout=30)
    return reply.headers.get("x-tastemaker-bundle", "")


def wait_until(holds: Callable[[], bool], timeout_s: float = 180) -> None:
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, f"not so in {timeout_s} s"
        time.sleep(0.2)


def test_down_leaves_nothing_running(served: tuple[Chain, int]) -> None:
    """Last: stops what the tests above used."""
    chain, port = served
    down = chain.tastemaker("down")
    assert down.returncode == 0, down.stderr
    for offset in range(5):
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port + offset}/", timeout=2)
    mine = []
    for folder in Path("/proc").iterdir():
        try:
            env = (folder / "environ").read_bytes() if folder.name.isdigit() else b""
        except OSError:
            continue
        if f"TASTEMAKER_HOME={chain.home}".encode() in env:
            mine.append((folder / "cmdline").read_bytes().replace(b"\0", b" "))
    assert mine == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--preset", "huge"], "unknown full_stack preset 'huge'"),
        (["--preset", "tiny", "--set", "train_encoder.seeed=1"], "did you mean 'seed'"),
        (["--preset", "tiny", "--catalog", "folder:/nowhere/at/all"], "/nowhere/at/all"),
        (["--preset", "tiny", "--catalog", "fashion"], "TASTEMAKER_DATA"),
    ],
)
def test_bad_input_ends_with_one_clear_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASTEMAKER_DATA", "/nowhere")
    home = tmp_path / "home"
    done = Chain(home, "", "").tastemaker("pipeline", "run", "full_stack", *words)
    assert done.returncode == 2, done.stdout + done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert said in errors[0]
    assert "Traceback" not in done.stderr
    assert environment(home)["TASTEMAKER_HOME"] == str(home)


def test_a_folder_of_corrupt_images_ends_with_one_line_and_the_home_stays_usable(
    tmp_path: Path,
) -> None:
    source = tmp_path / "shop"
    source.mkdir()
    rows = [{"item_id": str(i), "image": f"{i}.jpg", "title": f"thing {i}"} for i in range(3)]
    (source / "items.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    for row in rows:
        (source / row["image"]).write_bytes(b"not a picture")
    chain = Chain(tmp_path / "home", "", "")
    done = chain.tastemaker(
        "pipeline", "run", "full_stack", "--preset", "tiny", "--catalog", f"folder:{source}"
    )
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stdout + done.stderr
    assert not list((chain.home / "tmp").iterdir())
