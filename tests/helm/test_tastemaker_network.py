"""Network policies: nobody is forgotten, each part reaches what it needs and nothing else."""

from pathlib import Path

from tests.helm.tastemaker_objects import EVERY, Objects, of_kind, pods, render, selected, variant


@EVERY
def test_every_pod_is_under_a_policy_of_its_own(file: Path) -> None:
    objects = render(file)
    policies = of_kind(objects, "NetworkPolicy")
    if not policies:
        assert file.stem in {"minimal-values", "no-network-policy-values"}
        return
    general = [one for one in policies if not one["spec"]["podSelector"]]
    assert {one["metadata"]["name"] for one in general} == {
        "tastemaker-default-deny",
        "tastemaker-dns",
    }
    for name, labels, _ in pods(objects):
        own = [one for one in policies if one["spec"]["podSelector"]]
        assert [p for p in own if selected(p["spec"]["podSelector"], labels)], name


def allowed(objects: Objects, source: str, target: str, port: int) -> bool:
    """Whether policies let one of our pods reach another's port, on both ends."""
    labels = {name: labels for name, labels, _ in pods(objects)}
    ends = []
    for end, peer, way, side in ((source, target, "egress", "to"), (target, source, "ingress", "from")):  # fmt: skip # noqa: E501
        ends.append(
            any(
                selected(policy["spec"]["podSelector"], labels[end])
                and any(one["port"] == port for one in rule.get("ports", []))
                and any(
                    selected(to["podSelector"], labels[peer])
                    for to in rule.get(side, [])
                    if set(to) == {"podSelector"}
                )
                for policy in of_kind(objects, "NetworkPolicy")
                if policy["spec"]["podSelector"]
                for rule in policy["spec"].get(way, [])
            )
        )
    return all(ends)


def test_parts_reach_what_they_need_and_nothing_else() -> None:
    objects = variant("mcp")
    ports = {"gateway": 8400, "features": 6566, "redis": 6379, "prefect": 4200, "mlflow": 5000}
    parts = ("gateway", "mcp", "features", "prefect-worker", "mlflow", "test")
    reach = {
        (source, target)
        for source in parts
        for target, port in ports.items()
        if source != target
        and allowed(objects, f"tastemaker-{source}", f"tastemaker-{target}", port)
    }
    assert reach == {
        ("gateway", "redis"),
        ("mcp", "redis"),
        ("features", "redis"),
        ("prefect-worker", "prefect"),
        ("test", "gateway"),
    }
    flows = {part for part, port in ports.items()
             if allowed(objects, "a flow run", f"tastemaker-{part}", port)}  # fmt: skip
    assert flows == {"prefect", "mlflow", "features"}
