"""Real KServe servers swapped under load."""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tastemaker.core.errors import ServiceError
from tastemaker.core.home import Home
from tastemaker.promotion.bundle import load_bundle, write_bundle
from tastemaker.serving import control, processes
from tastemaker.serving.services import PORT, Service
from tastemaker.serving.surroundings import Timing
from tests.tastemaker.serving.conftest import Models, free_port
from tests.tastemaker.serving.small_servers import ask_for, eventually, load, rows, up

pytestmark = pytest.mark.slow
PATIENT = Timing(start_s=180, poll_s=0.5)


def encoder(folder: Path, port: int) -> Service:
    command = (sys.executable, "-m", "tastemaker.serving.encoder_server", "--http-port", PORT)
    words = ("--model-dir", str(folder))
    return Service("encoder", (*command, *words), port, "/v1/models/encoder", bundle=folder.name)


def copy_of(home: Home, digest: str) -> str:
    """The same model under another digest, which is another space."""
    first = load_bundle(home, digest, family="encoder")

    def write(folder: Path) -> None:
        shutil.copytree(first.path, folder, dirs_exist_ok=True)
        (folder / "bundle.yaml").unlink()

    card = replace(first.card, parents={**first.card.parents, "copy": digest})
    return write_bundle(home, card, write).digest


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home.open(str(tmp_path / "home"))
    yield home
    control.down(home)
    assert processes.marked_members(home.root) == []


def test_an_encoder_is_swapped_under_load_and_a_broken_bundle_is_not(
    home: Home, models: Models, tmp_path: Path
) -> None:
    second = copy_of(models.home, models.encoder)
    port = free_port()
    old, new = (
        encoder(load_bundle(models.home, digest).path, port) for digest in (models.encoder, second)
    )
    up(home, old, timing=PATIENT)
    url = f"http://127.0.0.1:{port}/v1/models/encoder:predict"
    body = json.dumps({"instances": [{"text": "a blue lamp"}]})
    assert httpx.post(url, content=body, trust_env=False).json()["space"] == models.encoder

    with load(url, tmp_path / "seen", per_second=50, body=body) as seen:
        time.sleep(2)
        ask_for(home, new)
        assert eventually(lambda: rows(home)["encoder"]["bundle"] == second, timeout_s=180)
        time.sleep(3)
        found = seen()
    assert set(found.statuses) == {"200"}, found.statuses
    assert found.statuses["200"] >= 500
    assert set(found.bundles) == {models.encoder, second}
    assert found.mixed == 0  # the header names the space that the answer is in

    broken = tmp_path / "broken"
    broken.mkdir()
    with pytest.raises(ServiceError, match="encoder ended with code 2 while starting"):
        up(home, encoder(broken, port))
    assert httpx.post(url, content=body, trust_env=False).json()["space"] == second
    assert "rolled back" in control.status(home)
