"""Which servers change, and which of them together."""

from dataclasses import replace

from tastemaker.serving.changes import changes, shape
from tastemaker.serving.services import Service, url_of


def model(name: str, bundle: str, space: str = "s", **more: object) -> Service:
    return Service(name, ("serve", bundle), 1, "/", bundle=bundle, space=space, **more)  # type: ignore[arg-type]


def gateway(reads: str, space: str = "s") -> Service:
    return Service("gateway", ("gateway", reads, url_of("encoder")), 9, "/", space=space)


NOW = [model("encoder", "e"), model("router", "r"), gateway("1")]
RUNNING = {service.key: service for service in NOW}


def names(wanted: list[Service], refused: dict | None = None) -> list[list[str]]:  # type: ignore[type-arg]
    return [change.names for change in changes(RUNNING, wanted, refused or {})]


def test_nothing_changes_where_the_same_is_wanted() -> None:
    assert names(NOW) == []
    assert names([replace(service, port=77) for service in NOW]) == []  # `up` sees to ports


def test_models_of_one_space_change_each_for_itself() -> None:
    assert names([model("encoder", "e2"), model("router", "r2"), NOW[2]]) == [
        ["encoder"],
        ["router"],
    ]


def test_all_change_together_with_a_server_that_reads_them() -> None:
    assert names([NOW[0], model("router", "r2"), gateway("2")]) == [["router", "gateway"]]


def test_a_canary_and_its_share_are_changes_of_its_server() -> None:
    tried = [replace(NOW[1], weight=90), model("router", "r2", canary=True, weight=10)]
    [change] = changes(RUNNING, [NOW[0], *tried, NOW[2]], {})
    assert [service.key for service in change.services] == ["router", "router-canary"]


def test_what_failed_is_left_alone_until_it_is_wanted_otherwise() -> None:
    wanted = [model("encoder", "bad"), model("router", "r2"), NOW[2]]
    refused = {"encoder": shape(wanted, "encoder")}
    assert names(wanted, refused) == [["router"]]
    assert names([model("encoder", "good"), *wanted[1:]], refused) == [["encoder"], ["router"]]


def test_another_space_takes_what_failed_along() -> None:
    wanted = [model("encoder", "bad", "t"), model("router", "r", "t"), gateway("2", "t")]
    wanted[1] = model("router", "r3", "t")
    refused = {name: shape(wanted, name) for name in ("encoder", "gateway")}
    assert names(wanted, refused) == [["encoder", "router", "gateway"]]
