"""The router in a real vLLM server: the tokens of the training-time forward, and its limits."""

import base64
import fcntl
import io
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch

from tastemaker.core.errors import ServiceError
from tastemaker.deployment import charts
from tastemaker.deployment.root import find
from tastemaker.router.messages import (
    Message,
    assistant_message,
    encode_items,
    encode_user,
    system_message,
    tool_message,
    user_message,
)
from tastemaker.router.model import greedy_ids, load_model, read_prompt, write_random_model
from tastemaker.router.tools import TOOLS
from tastemaker.serving import containers
from tastemaker.serving.containers import llm_python
from tastemaker.serving.services import Service
from tests.tastemaker.serving.conftest import free_port, wait_until_answers

pytestmark = pytest.mark.slow
ITEM_DIM, USER_DIM, MAX_ITEMS, NUM_TOKENS = 24, 16, 200, 24


@dataclass(frozen=True)
class Served:
    url: str
    folder: Path
    log: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    try:
        llm_python()
    except ServiceError as error:
        pytest.skip(str(error))
    base = tmp_path_factory.mktemp("vllm")
    folder, log, port = base / "model", base / "log", free_port()
    words = [f"word{i}" for i in range(200)]
    write_random_model(folder, item_dim=ITEM_DIM, user_dim=USER_DIM, words=words)
    spread_out(folder)
    service = router(folder, scratch=base).filled(port, {})
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with Path(tempfile.gettempdir(), "vllm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one engine at a time on a small machine
        process = subprocess.Popen(
            service.command,
            env={**inherited, **service.environment},
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_answers(f"{url}/health", process, log, timeout_s=500)
            yield Served(url, folder, log)
        finally:
            process.terminate()
            process.wait(60)


def router(folder: Path, scratch: Path) -> Service:
    """The router as the model chart renders it for a laptop, with a model that is in no home."""
    files = [find(f"manifests/models/{name}.yaml") for name in ("base/router", "local/all")]
    pins = {"bundle": "0" * 16, "dataset": "0" * 16, "space": "0" * 16, "home": "file:///nowhere"}
    objects = charts.render(find("helm/model"), [*charts.layers(files), pins], name="router")
    [rendered] = containers.of_model(objects)
    command = containers.command(rendered.container, {"/mnt/models": folder})
    environment = containers.environment(rendered.container, scratch)
    return Service("router", command, 8404, containers.health(rendered.container), environment)


def spread_out(folder: Path) -> None:
    """Larger random weights, so that the next token depends on all of the input."""
    from safetensors.torch import load_file, save_file

    generator = torch.Generator().manual_seed(2)
    weights = load_file(folder / "model.safetensors")
    for name, value in weights.items():
        if value.ndim == 2:
            noise = torch.randn(value.shape, generator=generator)
            weights[name] = noise * (0.3 if "embed_tokens" not in name else 0.7)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def chat(served: Served, messages: list[Message], **more: Any) -> httpx.Response:
    body = {"model": "router", "messages": messages, "max_tokens": NUM_TOKENS, **more}
    return httpx.post(f"{served.url}/v1/chat/completions", json=body, timeout=120, trust_env=False)


def rows(num: int, *, seed: int, dim: int = ITEM_DIM) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((num, dim)).astype(np.float32)


def conversation(num: int) -> list[Message]:
    """A user vector, a call, its result of `num` items, and a board of 7 with the next question."""
    return [
        *system_message(rows(1, seed=num, dim=USER_DIM)[0]),
        user_message("word3 word5 a red sofa"),
        assistant_message("c1", "search_items", {"query": "red sofa", "max_price": 200}),
        tool_message("c1", 1, rows(num, seed=num + 1)),
        user_message("word9 word7", lists={2: rows(7, seed=num + 2)}),
    ]


@pytest.mark.parametrize("num", [1, 3, 20, 100, 200])
def test_the_engine_writes_the_same_tokens_as_the_training_forward(
    served: Served, num: int
) -> None:
    model, tokenizer = load_model(served.folder)
    messages = conversation(num)
    prompt = read_prompt(messages, tokenizer, model.config, TOOLS)
    expected = greedy_ids(model, prompt, NUM_TOKENS)
    reply = chat(served, messages, tools=TOOLS, return_token_ids=True)
    assert reply.status_code == 200, reply.text
    body = reply.json()
    assert body["usage"]["prompt_tokens"] == len(prompt.ids)
    found = body["choices"][0]["token_ids"]
    assert [token for token in found if token != model.config.eos_token_id] == expected
    assert len(set(expected)) > 3  # not one token for ever
    changed = conversation(num)
    changed[3] = tool_message("c1", 1, rows(num, seed=99))
    other = read_prompt(changed, tokenizer, model.config, TOOLS)
    assert greedy_ids(model, other, NUM_TOKENS) != expected  # the items count


def test_a_reply_names_the_bundle(served: Served) -> None:
    """On a cluster nobody else says so; a canary's judge asks."""
    for reply in (chat(served, conversation(3)), chat(served, [])):
        assert reply.headers["x-tastemaker-bundle"] == "0" * 16


def test_a_repeated_list_is_read_from_the_prefix_cache(served: Served) -> None:
    messages = [user_message("word1", lists={1: rows(100, seed=5)})]
    first, again = (chat(served, messages, max_tokens=1) for _ in range(2))
    assert first.status_code == again.status_code == 200
    metrics = httpx.get(f"{served.url}/metrics", trust_env=False).text
    hits = [
        line for line in metrics.splitlines() if line.startswith("vllm:prefix_cache_hits_total")
    ]
    assert float(hits[0].split()[-1]) >= 96  # tokens, in blocks of 32


def raw_items(array: np.ndarray) -> dict[str, str]:
    out = io.BytesIO()
    np.save(out, array)
    return {"type": "image_embeds", "image_embeds": base64.b64encode(out.getvalue()).decode()}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([raw_items(np.zeros((201, ITEM_DIM), np.float16))], "1 to 200 rows, got 201"),
        ([raw_items(np.zeros((0, ITEM_DIM), np.float16))], "1 to 200 rows, got 0"),
        ([raw_items(np.zeros((3, ITEM_DIM + 1), np.float16))], "shape (n, 24), got (3, 25)"),
        ([raw_items(np.zeros(ITEM_DIM, np.float16))], "shape (n, 24), got (24,)"),
        ([raw_items(np.zeros((3, ITEM_DIM), np.int32))], "floating point"),
        ([raw_items(np.full((3, ITEM_DIM), np.nan, np.float16))], "not finite"),
        ([{"type": "image_embeds", "image_embeds": None}], "must be an embedding"),
        ([encode_user(np.zeros(USER_DIM + 1))], "shape (n, 16), got (1, 17)"),
        ([encode_user(np.zeros(USER_DIM))] * 2, "At most 1 audio"),
        ([{"type": "text", "text": "<|item|>"}, encode_items(rows(2, seed=0))], "as text"),
        ([encode_items(rows(200, seed=i)) for i in range(21)], "maximum context length"),
    ],
)
def test_what_a_client_gets_wrong_is_400_and_the_engine_goes_on(
    served: Served, parts: list[dict[str, str]], said: str
) -> None:
    reply = chat(served, [{"role": "user", "content": parts}])
    assert reply.status_code == 400, reply.text
    assert said in reply.json()["error"]["message"]
    assert chat(served, [user_message("word1")]).status_code == 200


def test_lists_of_other_float_types_share_a_batch(served: Served) -> None:
    parts = [raw_items(rows(3, seed=i).astype(t)) for i, t in enumerate((np.float16, np.float64))]
    assert chat(served, [{"role": "user", "content": parts}]).status_code == 200


def test_the_warm_up_worked_and_no_request_left_a_traceback(served: Served) -> None:
    log = served.log.read_text()
    assert "Multi-modal warmup failed" not in log
    assert "Multi-modal warmup completed" in log
    # random weights may write a call that is not JSON: the engine's parser logs that and goes on
    ours = [line for line in log.splitlines() if "hermes_tool_parser.py" not in line]
    assert not [line for line in ours if "Traceback" in line]
