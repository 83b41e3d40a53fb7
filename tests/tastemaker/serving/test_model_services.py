"""Which processes an environment consists of: the real charts and model files."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tastemaker.core.errors import ConfigError, NotFound, ServiceError, SpaceMismatch
from tastemaker.core.home import Home
from tastemaker.promotion.bundle import Card, write_bundle
from tastemaker.promotion.environment import read_file
from tastemaker.promotion.model_file import Live
from tastemaker.serving.asked import Asked
from tastemaker.serving.containers import llm_python
from tastemaker.serving.model_services import services
from tastemaker.serving.services import PORT, Service, base_environment, from_json, url_of
from tastemaker.serving.wanted import fingerprint
from tests.tastemaker.promotion.shop import write_file, write_live

FAMILIES = {"retrieval": "index", "recommender": "sequence", "router": "router"}
DATASET = "d" * 16


def bundle(home: Home, family: str, reads: tuple[str, ...] = (), salt: str = "") -> str:
    card = Card(family=family, config={"salt": salt}, parents={}, reads=reads)
    return write_bundle(home, card, lambda folder: None).digest


def go_live(home: Home, salt: str = "") -> str:
    """A whole set of one space; gives the space."""
    encoder = bundle(home, "encoder", salt=salt)
    write_live(home, "local", "encoder", Live(encoder, DATASET, encoder))
    for model, family in FAMILIES.items():
        digest = bundle(home, family, (encoder,), salt)
        write_live(home, "local", model, Live(digest, DATASET, encoder))
    return encoder


def add(home: Home, model: str, text: str) -> None:
    """Add to a model's promoted file."""
    write_file(home, "local", model, (read_file(home, "local", model) or "") + text)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("TASTEMAKER_LLM_PYTHON", sys.executable)
    home = Home.open(str(tmp_path / "home"))
    go_live(home)
    return home


def found(home: Home, settings: str = "") -> dict[str, Service]:
    return {one.key: one for one in services(home, "local", 9000, settings)}


def test_five_servers_on_ports_in_a_row(home: Home) -> None:
    by_key = found(home)
    assert {name: service.port for name, service in by_key.items()} == {
        "encoder": 9001,
        "retrieval": 9002,
        "recommender": 9003,
        "router": 9004,
        "gateway": 9000,
    }
    gateway = by_key["gateway"]
    assert f"--router-url={url_of('router')}" in gateway.command
    assert gateway.uses == {"encoder", "retrieval", "recommender", "router"}
    assert "--environment=local" in gateway.command
    assert not gateway.repeatable
    assert '--settings={"a": 1}' in found(home, '{"a": 1}')["gateway"].command


def test_commands_are_those_of_the_containers_made_local(home: Home) -> None:
    by_key = found(home)
    for name, service in by_key.items():
        text = " ".join(service.command)
        assert PORT in text, name
        assert not re.search(r"0\.0\.0\.0|/mnt/|\$\(", text), name
        assert "HOME" not in service.environment
    encoder, router = by_key["encoder"], by_key["router"]
    folder = home.path("bundles", encoder.bundle)
    assert encoder.command[:3] == (sys.executable, "-m", "tastemaker.serving.encoder_server")
    assert encoder.command[encoder.command.index("--model-dir") + 1] == str(folder)
    assert encoder.health == "/v1/models/encoder"
    assert encoder.space == encoder.bundle == router.space
    model = str(home.path("bundles", router.bundle) / "model")
    assert router.command[router.command.index("--model") + 1] == model
    assert router.command[router.command.index("--host") + 1] == "127.0.0.1"
    assert router.environment["VLLM_CACHE_ROOT"] == f"{home.root}/vllm-cache"
    assert router.environment["HF_HUB_OFFLINE"] == "1"


def test_a_number_that_equals_the_port_stays(home: Home) -> None:
    add(home, "router", "router: { maxModelLen: 8000 }\n")
    command = found(home)["router"].command
    assert command[command.index("--max-model-len") + 1] == "8000"


def test_equal_files_give_equal_services_and_another_bundle_another_version(home: Home) -> None:
    before = found(home)
    assert found(home) == before
    other = bundle(home, "router", (before["encoder"].bundle,), salt="other")
    write_live(home, "local", "router", Live(other, DATASET, before["encoder"].bundle))
    after = found(home)
    assert [key for key in after if after[key].version != before[key].version] == ["router"]


def test_another_space_is_another_version_of_every_server(home: Home) -> None:
    before = found(home)
    go_live(home, salt="new")
    after = found(home)
    assert all(after[key].version != before[key].version for key in after)


def test_the_gateway_reads_what_it_was_made_for(home: Home) -> None:
    before = found(home)
    folder = Path(before["gateway"].environment["TASTEMAKER_MANIFESTS"])
    go_live(home, salt="new")
    pinned = yaml.safe_load((folder / "models" / "local" / "encoder.yaml").read_text())
    assert pinned["bundle"] == before["encoder"].bundle


def test_a_canary_is_a_second_version_with_its_share(home: Home) -> None:
    space = found(home)["encoder"].bundle
    for model in ("recommender", "router"):
        other = bundle(home, FAMILIES[model], (space,), salt="canary")
        add(home, model, f'canary: {{ bundle: "{other}", space: "{space}", weight: 20 }}\n')
        by_key = found(home)
        stable, canary = by_key[model], by_key[f"{model}-canary"]
        assert (stable.weight, canary.weight) == (80, 20)
        assert canary.bundle == other != stable.bundle
        assert canary.port == stable.port
        assert not stable.canary
    assert len(by_key) == 7


@pytest.mark.parametrize("model", list(FAMILIES))
def test_a_model_of_another_space_is_refused_before_anything_starts(home: Home, model: str) -> None:
    space = "0123456789abcdef"
    other = bundle(home, FAMILIES[model], (space,))
    write_live(home, "local", model, Live(other, DATASET, space))
    with pytest.raises(SpaceMismatch, match=rf"{model}\.yaml: space: .*{space}"):
        services(home, "local", 9000)


def test_a_bundle_of_another_family_is_refused(home: Home) -> None:
    live = found(home)["encoder"].bundle
    write_live(home, "local", "recommender", Live(live, DATASET, live))
    with pytest.raises(NotFound, match="is of family 'encoder', not 'sequence'"):
        services(home, "local", 9000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("replicaz: 1\n", r"retrieval\.yaml: .*replicaz: unknown field; did you mean 'replicas'\?"),
        ("image: { tag: latest }\n", r"retrieval\.yaml: .*image\.tag: latest moves"),
        ("startupSeconds: soon\n", r"retrieval\.yaml: .*startupSeconds: "),
    ],
)
def test_what_a_cluster_would_refuse_is_refused(home: Home, text: str, said: str) -> None:
    add(home, "retrieval", text)
    with pytest.raises(ConfigError, match=said):
        services(home, "local", 9000)


def test_what_needs_a_cluster_is_refused_with_the_file(home: Home) -> None:
    add(home, "router", "router: { tls: { enabled: true } }\n")
    with pytest.raises(ConfigError, match=r"router\.yaml: /var/run/.* is mounted by a cluster"):
        services(home, "local", 9000)
    go_live(home)
    write_file(home, "local", "router", None)
    go_live(home)
    add(home, "router", "router: { prefill: { replicas: 1 } }\n")
    with pytest.raises(ConfigError, match=r"router\.yaml: router\.prefill\.replicas"):
        services(home, "local", 9000)


def test_the_reconcilers_child_says_the_same(home: Home) -> None:
    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tastemaker.serving.model_services"]
        command += ["--home", str(home.root)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    Asked(port=9000).write(home)
    assert {one.key: one for one in from_json(json.loads(run().stdout))} == found(home)
    add(home, "retrieval", "replicaz: 1\n")
    refused = run()
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: ")
    assert "replicaz: unknown field" in refused.stderr


def test_the_fingerprint_follows_the_promoted_files(home: Home) -> None:
    Asked(port=9000).write(home)
    before = fingerprint(home)
    assert fingerprint(home) == before
    add(home, "retrieval", "# a comment\n")
    assert fingerprint(home) != before
    before = fingerprint(home)
    Asked(port=9000).write(home)  # another `up`
    assert fingerprint(home) != before


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
    assert os.environ["PYTHONDONTWRITEBYTECODE"] == "1"
