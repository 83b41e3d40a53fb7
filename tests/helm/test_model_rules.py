"""What the model chart renders for a choice, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest

from tastemaker.core.errors import ConfigError
from tastemaker.deployment import charts

CHART = Path(__file__).parents[2] / "helm" / "model"
SPACE, OTHER = "b8896a010d3aa581", "aaaa1111bbbb2222"
COMMON: dict[str, Any] = {
    "dataset": "f2ede336fd4b5739",
    "space": SPACE,
    "home": "s3://tastemaker/home",
    "image": {"repository": "tastemaker/assistant", "tag": "0.1.0"},
}
RECOMMENDER = {**COMMON, "model": "recommender", "bundle": "3d8e9f461c1bf360"}
ROUTER = {**COMMON, "model": "router", "bundle": "560f4897c7a914c9"}
ENCODER = {**COMMON, "model": "encoder", "bundle": SPACE}


def render(*values: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    documents = charts.render(CHART, values, name=values[0]["model"], namespace="models")
    return {(one["kind"], one["metadata"]["name"]): one for one in documents}


def router(*values: dict[str, Any], name: str = "router") -> dict[str, Any]:
    found: dict[str, Any] = render(ROUTER, *values)["LLMInferenceService", name]["spec"]
    return found


def refusal(*values: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        render(*values)
    return str(caught.value)


@pytest.mark.parametrize("values", [ENCODER, RECOMMENDER], ids=["encoder", "recommender"])
def test_a_kserve_model_runs_our_server_on_its_bundle(values: dict[str, Any]) -> None:
    service = render(values)["InferenceService", values["model"]]
    assert service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"
    predictor = service["spec"]["predictor"]
    uri = f"s3://tastemaker/home/bundles/{values['bundle']}"
    assert predictor["storageUris"] == [{"uri": uri, "mountPath": "/mnt/models"}]
    (container,) = predictor["containers"]
    assert container["name"] == "kserve-container"
    assert container["command"] == ["python", "-m", f"tastemaker.serving.{values['model']}_server"]
    words = ["--model-dir", "/mnt/models", "--http-port", "8080", "--host", "0.0.0.0"]
    assert container["args"] == words
    ready = container["readinessProbe"]["httpGet"]
    assert ready == {"path": f"/v1/models/{values['model']}", "port": 8080}
    assert predictor["serviceAccountName"] == values["model"]


def test_the_router_is_vllm_with_our_plugin() -> None:
    container = router()["template"]["containers"][0]
    assert container["name"] == "main"
    assert container["command"] == ["python", "-m", "vllm.entrypoints.openai.api_server"]
    args = " ".join(container["args"])
    for flags in (
        "--model /mnt/models --served-model-name router --host 0.0.0.0 --port 8000",
        "--dtype float32 --max-model-len 4096 --enforce-eager",
        "--kv-cache-memory-bytes 268435456 --block-size 32 --enable-mm-embeds",
        '--limit-mm-per-prompt {"image": 200, "audio": 1}',
        "--enable-auto-tool-choice --tool-call-parser hermes",
        '--override-generation-config {"temperature": 0.0}',
        "--ssl-certfile /var/run/kserve/tls/tls.crt",
    ):
        assert flags in args
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert environment["VLLM_PLUGINS"] == "tastemaker"
    assert environment["HF_HUB_OFFLINE"] == "1"


def test_without_a_certificate_probes_speak_http() -> None:
    container = router({"router": {"tls": {"enabled": False}}})["template"]["containers"][0]
    assert not [word for word in container["args"] if "ssl" in word]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/health", "port": 8000, "scheme": "HTTP"}


def test_one_router_has_no_scheduler_two_share_prefixes() -> None:
    assert "scheduler" not in router()["router"]
    two = router({"replicas": {"min": 2, "max": 2}})
    inline = two["router"]["scheduler"]["config"]["inline"]
    assert (inline["apiVersion"], inline["kind"]) == ("llm-d.ai/v1alpha1", "EndpointPickerConfig")
    types = {plugin["type"] for plugin in inline["plugins"]}
    named = {
        plugin["pluginRef"] for one in inline["schedulingProfiles"] for plugin in one["plugins"]
    }
    assert "prefix-cache-scorer" in named <= types
    prefix = next(one for one in inline["plugins"] if one["type"] == "prefix-cache-scorer")
    args = two["template"]["containers"][0]["args"]
    assert str(prefix["parameters"]["blockSize"]) == args[args.index("--block-size") + 1]


def test_the_router_grows_with_its_queue() -> None:
    spec = router({"replicas": {"min": 1, "max": 4}, "autoscaling": {"class": "keda", "target": 3}})
    assert "replicas" not in spec  # the CRD takes one of the two
    (trigger,) = spec["scaling"]["keda"]["triggers"]
    assert trigger["metadata"]["threshold"] == "3"
    assert "vllm:num_requests_waiting" in trigger["metadata"]["query"]
    assert (spec["scaling"]["minReplicas"], spec["scaling"]["maxReplicas"]) == (1, 4)


def test_prefill_and_decode_are_parted() -> None:
    spec = router({"router": {"prefill": {"replicas": 2}}})
    assert spec["prefill"]["replicas"] == 2
    ports = [
        spec[part]["containers"][0]["ports"][0]["containerPort"]
        if part == "template"
        else spec[part]["template"]["containers"][0]["ports"][0]["containerPort"]
        for part in ("prefill", "template")
    ]
    assert ports == [8000, 8001]  # the routing sidecar takes 8000 before decode
    for container in (
        spec["prefill"]["template"]["containers"][0],
        spec["template"]["containers"][0],
    ):
        args = container["args"]
        assert "NixlConnector" in args[args.index("--kv-transfer-config") + 1]
    profiles = spec["router"]["scheduler"]["config"]["inline"]["schedulingProfiles"]
    assert [one["name"] for one in profiles] == ["prefill", "decode"]


def test_adapters_are_named_to_kserve_and_to_vllm() -> None:
    spec = router({"router": {"lora": {"adapters": {"rooms": "s3://b/rooms"}, "maxRank": 32}}})
    assert spec["model"]["lora"]["adapters"] == [{"name": "rooms", "uri": "s3://b/rooms"}]
    args = spec["template"]["containers"][0]["args"]
    assert args[args.index("--lora-modules") + 1] == "rooms=/mnt/lora/rooms"
    assert args[args.index("--max-lora-rank") + 1] == "32"


def test_a_canary_takes_its_share() -> None:
    canary = {"canary": {"bundle": OTHER, "space": SPACE, "weight": 10}}
    service = render(RECOMMENDER, canary)["InferenceService", "recommender"]
    (one,) = service["spec"]["canary"]
    assert one["trafficPercent"] == 10
    assert one["predictor"]["name"] == "canary"
    assert one["predictor"]["storageUris"][0]["uri"].endswith(OTHER)
    stable, second = router(canary), router(canary, name="router-canary")
    routes = [spec["router"]["route"] for spec in (stable, second)]
    assert routes == [{"group": "router", "weight": 90}, {"group": "router", "weight": 10}]
    assert second["model"]["uri"] == f"s3://tastemaker/home/bundles/{OTHER}/model"


def test_own_variables_win_and_files_can_be_written() -> None:
    values = {"env": {"OMP_NUM_THREADS": "4", "MINE": "x"}}
    predictor = render(RECOMMENDER, values)["InferenceService", "recommender"]["spec"]["predictor"]
    container = predictor["containers"][0]
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert environment["OMP_NUM_THREADS"] == "4"
    assert environment["MINE"] == "x"
    mounted = {one["mountPath"] for one in container["volumeMounts"]}
    assert environment["HOME"] in mounted
    assert "/tmp" in mounted


def test_a_digest_stands_beside_the_tag() -> None:
    image = {"registry": "r.example.com", "digest": f"sha256:{'0' * 64}"}
    service = render(RECOMMENDER, {"image": image})["InferenceService", "recommender"]
    name = service["spec"]["predictor"]["containers"][0]["image"]
    assert name == f"r.example.com/tastemaker/assistant:0.1.0@sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"canary": {"bundle": OTHER, "space": OTHER, "weight": 5}}, "canary.space: the canary"),
        ({"canary": {"bundle": OTHER, "space": SPACE}}, "canary.weight: must be 1 to 99"),
        ({"canary": {"bundle": RECOMMENDER["bundle"], "space": SPACE}}, "canary.bundle: "),
        ({"image": {"tag": ""}}, "image.tag: neither a tag nor a digest"),
        ({"image": {"tag": "latest"}}, "image.tag: latest moves"),
        ({"replicas": {"max": 3}}, "replicas.max: above replicas.min only with an autoscaler"),
        ({"replicas": {"min": 3}}, "replicas.min: 3 is above replicas.max 1"),
        ({"resources": {"limits": {"memory": None}}}, "resources.limits.memory: "),
        ({"bundle": "latest"}, "bundle: 'latest' does not match pattern"),
        ({"home": "/mnt/home"}, "home: '/mnt/home' does not match pattern"),
        ({"replica": {}}, "replica: unknown field; did you mean 'replicas'?"),
        ({"router": {"tls": {"enabled": "yes"}}}, "router.tls.enabled: got string, want boolean"),
    ],
)
def test_refused_with_the_field_and_the_rule(values: dict[str, Any], message: str) -> None:
    assert message in refusal(RECOMMENDER, values)


def test_an_adapter_is_not_named_like_the_model() -> None:
    lora = {"router": {"lora": {"adapters": {"router": "s3://b/rooms"}}}}
    assert "router.lora.adapters.router: router is the name of the model" in refusal(ROUTER, lora)


def test_an_encoder_writes_its_own_space_and_has_no_canary() -> None:
    assert "space: an encoder writes the space of its own bundle" in refusal(
        ENCODER, {"space": OTHER}
    )
    canary = {"canary": {"bundle": OTHER, "space": SPACE, "weight": 10}}
    assert "an encoder has no canary" in refusal(ENCODER, canary)


def test_a_router_does_not_grow_by_cpu_nor_a_canary_at_all() -> None:
    grows = {"replicas": {"min": 1, "max": 4}, "autoscaling": {"class": "hpa"}}
    assert "the router grows by keda" in refusal(ROUTER, grows)
    canary = {"canary": {"bundle": OTHER, "space": SPACE, "weight": 10}}
    assert "autoscaling.class: must be none while there is a canary" in refusal(
        RECOMMENDER, canary, grows
    )
