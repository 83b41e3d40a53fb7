"""Which processes an environment consists of."""

import sys
from pathlib import Path

import pytest

from tastemaker.core.errors import NotFound, ServiceError, SpaceMismatch
from tastemaker.core.home import Home
from tastemaker.promotion.bundle import Card, write_bundle
from tastemaker.promotion.environment import Live, set_live
from tastemaker.serving.router_command import llm_python
from tastemaker.serving.services import base_environment, services

FAMILIES = {"retrieval": "index", "recommender": "sequence", "router": "router"}


def bundle(home: Home, family: str, reads: tuple[str, ...] = (), salt: str = "") -> str:
    card = Card(family=family, config={"salt": salt}, parents={}, reads=reads)
    return write_bundle(home, card, lambda folder: None).digest


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("TASTEMAKER_LLM_PYTHON", sys.executable)
    home = Home.open(str(tmp_path / "home"))
    encoder = bundle(home, "encoder")
    set_live(home, "local", "encoder", Live(encoder, "data"))
    for model, family in FAMILIES.items():
        set_live(home, "local", model, Live(bundle(home, family, (encoder,)), "data"))
    return home


def test_five_servers_on_ports_in_a_row(home: Home) -> None:
    found = {service.name: service for service in services(home, "local", 9000)}
    ports = {name: service.port for name, service in found.items()}
    assert ports == {
        "gateway": 9000,
        "encoder": 9001,
        "retrieval": 9002,
        "recommender": 9003,
        "router": 9004,
    }
    gateway = " ".join(found["gateway"].command)
    assert "--router-url http://127.0.0.1:9004" in gateway
    assert "--environment local" in gateway
    told = services(home, "local", 9000, settings='{"a": 1}')[-1]
    assert '--settings {"a": 1}' in " ".join(told.command)
    assert "127.0.0.1" in found["router"].command
    assert found["router"].environment["HF_HUB_OFFLINE"] == "1"


def test_another_bundle_is_another_command(home: Home) -> None:
    before = services(home, "local", 9000)
    assert services(home, "local", 9000) == before
    encoder = before[0].command[before[0].command.index("--model-dir") + 1].rpartition("/")[2]
    other = bundle(home, "index", (encoder,), salt="other")
    set_live(home, "local", "retrieval", Live(other, "data"))
    changed = [a.name for a, b in zip(before, services(home, "local", 9000), strict=True) if a != b]
    assert changed == ["retrieval"]


@pytest.mark.parametrize("model", list(FAMILIES))
def test_a_model_of_another_space_is_refused_before_anything_starts(home: Home, model: str) -> None:
    other = bundle(home, FAMILIES[model], ("0123456789abcdef",))
    set_live(home, "local", model, Live(other, "data"))
    with pytest.raises(SpaceMismatch, match="0123456789abcdef"):
        services(home, "local", 9000)


def test_a_bundle_of_another_family_is_refused(home: Home) -> None:
    set_live(home, "local", "recommender", Live(bundle(home, "encoder"), "data"))
    with pytest.raises(NotFound, match="is of family 'encoder', not 'sequence'"):
        services(home, "local", 9000)


def test_without_vllm_the_message_says_what_to_set(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASTEMAKER_LLM_PYTHON", "/nowhere/python")
    with pytest.raises(ServiceError, match="/nowhere/python"):
        llm_python()


def test_servers_are_offline_and_may_write_bytecode(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    environment = base_environment(home)
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert environment["TASTEMAKER_HOME"] == str(home.root)
    assert environment["HF_HUB_OFFLINE"] == "1"
