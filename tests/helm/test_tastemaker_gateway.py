"""What the chart tells the gateway is what the gateway takes."""

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

from tastemaker.assistant import gateway
from tastemaker.assistant.settings import GatewayConfig
from tastemaker.assistant.tools.mcp_server import PATH
from tastemaker.core.config import from_settings, load_preset
from tastemaker.core.home import Home
from tastemaker.features import config as places
from tests.helm.tastemaker_objects import EVERY, Objects, of_kind, render, variant

INSIDE = {"/healthz", "/metrics"}  # for the cluster alone


def one(objects: Objects, kind: str, name: str) -> dict[str, Any]:
    (found,) = [o for o in of_kind(objects, kind) if o["metadata"]["name"] == name]
    return found


def arguments(objects: Objects, name: str = "tastemaker-gateway") -> list[str]:
    """The container's arguments as the kubelet hands them over."""
    pod = one(objects, "Deployment", name)["spec"]["template"]["spec"]
    settings = one(objects, "ConfigMap", "tastemaker-gateway")["data"]["settings.json"]
    filled = [arg.replace("$(GATEWAY_SETTINGS)", settings) for arg in pod["containers"][0]["args"]]
    assert "$(" not in "".join(filled)
    return filled


def with_gateway(file: Path) -> Objects:
    if file.stem == "before-models-values":
        pytest.skip("no gateway runs yet")
    return render(file)


@EVERY
def test_settings_are_a_gateways(file: Path) -> None:
    objects = with_gateway(file)
    settings = one(objects, "ConfigMap", "tastemaker-gateway")["data"]["settings.json"]
    config = from_settings(GatewayConfig, settings, family="assistant")
    assert config.identity.auth == ("oidc" if file.stem == "oidc-values" else "keys")
    assert config.features.online == "redis"
    assert config.features.registry == "sql"
    if file.stem == "external-redis-values":
        assert config.features.redis_url == "redis.acme.internal:6380,ssl=true"
    if file.stem == "oidc-values":
        assert config.assistant.max_turn_cents == 0.5
        assert [member.name for member in config.providers.members] == ["router", "other"]
        assert config.identity.role_claim == "realm.roles"


@pytest.mark.parametrize("name", ["default", "oidc", "mcp"])
def test_the_gateway_itself_gets_as_far_as_its_home(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its own parser, settings, bind check and model files; an empty home then stops it."""
    objects = variant(name)
    pod = one(objects, "Deployment", "tastemaker-gateway")["spec"]["template"]["spec"]
    (volume,) = [v["configMap"] for v in pod["volumes"] if v["name"] == "models"]
    files = one(objects, "ConfigMap", volume["name"])["data"]
    for item in volume["items"]:
        path = tmp_path / "manifests" / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[item["key"]])
    monkeypatch.setenv("TASTEMAKER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TASTEMAKER_MANIFESTS", str(tmp_path / "manifests"))
    with pytest.raises(SystemExit) as stopped:
        gateway.main(arguments(objects))
    assert stopped.value.code == 2
    assert "5555555555555555" in capsys.readouterr().err  # the dataset that the files name


def test_an_open_gateway_cannot_be_rendered_and_would_not_start(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [arg.replace('"auth":"keys"', '"auth":"open"') for arg in arguments(variant("default"))]
    with pytest.raises(SystemExit):
        gateway.main(given)
    assert "set identity.auth to keys or oidc" in capsys.readouterr().err


def test_tools_and_chat_run_the_same_command() -> None:
    objects = variant("mcp")
    assert arguments(objects, "tastemaker-mcp") == arguments(objects)
    route = one(objects, "HTTPRoute", "tastemaker-mcp")["spec"]["rules"][0]
    assert route["matches"][0]["path"]["value"] == PATH
    assert route["backendRefs"][0]["name"] == "tastemaker-mcp"
    default = one(variant("default"), "HTTPRoute", "tastemaker-mcp")["spec"]["rules"][0]
    assert default["backendRefs"][0]["name"] == "tastemaker-gateway"


def test_where_the_models_answer() -> None:
    urls = [arg for arg in arguments(variant("default")) if "-url=" in arg]
    inside = "svc.cluster.local"
    assert urls == [
        *(f"--{model}-url=http://{model}-predictor.tastemaker-models.{inside}"
          for model in ("encoder", "retrieval", "recommender")),
        f"--router-url=http://inference-gateway.envoy-gateway-system.{inside}"
        "/tastemaker-models/router",
    ]  # fmt: skip


def test_every_address_of_the_app_is_routed_or_for_the_inside() -> None:
    rules = [
        match["path"]
        for route in of_kind(variant("default"), "HTTPRoute")
        for rule in route["spec"]["rules"]
        for match in rule["matches"]
    ]

    def routed(path: str) -> bool:
        return any(
            path == rule["value"]
            or (rule["type"] == "PathPrefix" and path.startswith(f"{rule['value']}/"))
            for rule in rules
        )

    addresses = _addresses()
    assert {"/", "/v1/chat/completions", "/items/{item_id:path}", *INSIDE} <= addresses
    assert {path for path in addresses if not routed(path)} == INSIDE


def _addresses() -> set[str]:
    """Paths that the gateway's modules declare: `@api.get("/path")`, and the tools'."""
    found = {PATH, "/openapi.json"}
    folder = Path(gateway.__file__).parent
    for file in (folder / "gateway.py", *(folder / "api").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and mark.args:
                        path = mark.args[0]
                        if isinstance(path, ast.Constant) and str(path.value).startswith("/"):
                            found.add(str(path.value))
    return found


@pytest.mark.parametrize("name", ["default", "external-redis"])
def test_the_feature_server_reads_what_the_features_write(name: str, tmp_path: Path) -> None:
    objects = variant(name)
    settings = one(objects, "ConfigMap", "tastemaker-gateway")["data"]["settings.json"]
    config = from_settings(GatewayConfig, settings, family="assistant").features
    home = Home(tmp_path)
    places.set_current(home, config, places.Generation("t", "d", "e", "s", 0))
    written = yaml.safe_load(home.path("features", "feature_store.yaml").read_text())
    rendered = one(objects, "ConfigMap", "tastemaker-features")["data"]["feature_store.yaml"]
    assert yaml.safe_load(rendered) == written
    pod = one(objects, "Deployment", "tastemaker-features")["spec"]["template"]["spec"]
    given = {variable["name"] for variable in pod["containers"][0]["env"]}
    assert {config.registry_url_env, config.redis_password_env} <= given


def test_pipelines_on_a_cluster_fill_the_store_that_the_gateway_reads() -> None:
    settings = one(variant("default"), "ConfigMap", "tastemaker-gateway")["data"]["settings.json"]
    read = from_settings(GatewayConfig, settings, family="assistant").features
    filled = load_preset(places.FeatureConfig, "features", "cluster")
    host, _, port = filled.redis_url.partition(":")
    assert read.redis_url == f"{host.split('.')[0]}:{port}"
    assert filled.model_copy(update={"redis_url": read.redis_url}) == read
