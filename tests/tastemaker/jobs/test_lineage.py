"""Lineage: the graph by itself, and of a small home with real bundles, commits and turns."""

import json
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert

from tastemaker.assistant.called import Called, bundles
from tastemaker.assistant.conversation_tables import turns_table
from tastemaker.assistant.reply import Reply
from tastemaker.core.database import open_database
from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, Table
from tastemaker.jobs import lineage, lineage_commands, step_records
from tastemaker.jobs.lineage import Node, Ref, follow
from tastemaker.jobs.lineage_readers import Reader
from tastemaker.promotion.bundle import Card, write_bundle
from tastemaker.promotion.evidence import keep
from tastemaker.promotion.model_file import Live
from tastemaker.promotion.promote import promote, promote_set
from tests.tastemaker.promotion.shop import make_bundle, make_set, signed, signed_set

TURN = "7" * 32


def test_each_thing_is_read_once_and_a_circle_ends() -> None:
    links = {"a": "bc", "b": "d", "c": "d", "d": "a"}
    read: list[str] = []

    def reader(ref: Ref) -> Node:
        read.append(ref.id)
        return Node({"is": ref.id}, tuple(("from", Ref("x", one)) for one in links[ref.id]))

    graph = follow(Ref("x", "a"), reader)
    assert read == ["a", "b", "c", "d"]
    assert lineage.text(graph, Ref("x", "a")).splitlines() == [
        "x a  is a",
        "├─ from: x b  is b",
        "│  └─ from: x d  is d",
        "│     └─ from: x a (above)",
        "└─ from: x c  is c",
        "   └─ from: x d (above)",
    ]


def test_what_is_missing_is_told_and_never_an_exception() -> None:
    def reader(ref: Ref) -> Node:
        if ref.id == "a":
            return Node(links=(("b", Ref("b", "1")),))
        return Node(missing="no such b")

    graph = follow(Ref("x", "a"), reader)
    assert lineage.missing(graph) == [Ref("b", "1")]
    assert "b 1  MISSING: no such b" in lineage.text(graph, Ref("x", "a"))
    told = lineage.body(graph, Ref("x", "a"))
    assert told["nodes"][1]["missing"] == "no such b"
    assert json.dumps(told)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A dataset version with a parent, a router made from it, promoted twice; and a turn."""
    home = Home.open(str(tmp_path_factory.mktemp("lineage") / "home"))
    tables = {"items": Table("tables/items-x.lance", 1, 9, "x")}
    first = Dataset(home, "demo", tables).save()
    step_records.record(
        home,
        "curate",
        first,
        {"catalog": "demo", "source_digest": "5" * 16},
        seconds=3,
        cpu_seconds=2,
    )
    second = Dataset(home, "demo", tables, parents=(first,)).save()
    live = make_set(home, dataset=second)
    promote_set(home, "local", live, signed_set(home, live), "first models")
    router = write_bundle(
        home,
        Card("router", {}, {"dataset": second, "dialogues": "9" * 16}, (live["encoder"].space,)),
        lambda folder: None,
    ).digest
    tried = Live(router, second, live["encoder"].space)
    proof = signed(home, "router", tried, live["router"].bundle, run="run-7")
    keep(home, proof)
    promote(home, "local", "router", tried, proof, canary=10)
    step_records.record(
        home, "train_router", router, {"dialogues": "9" * 16}, seconds=60, cpu_seconds=90
    )
    write_turn(open_database(home.database()), live, router)
    return home


def write_turn(engine: Engine, live: dict[str, Live], router: str) -> None:
    calls = [
        Called("router", live["router"].bundle, 9.0, True),
        Called("router", router, 9.0, True),
        Called("encoder", live["encoder"].bundle, 1.0, True),
    ]
    now_ms = int(time.time() * 1000) + 2000  # commits have whole seconds
    reply = Reply(
        id=TURN,
        created=1,
        conversation="c",
        question="my secret wish",
        text="here",
        items=(),
        steps=({"tool": "search_items", "arguments": {"query": "my secret wish"}},),
        prompt_tokens=1,
        completion_tokens=1,
        ms=30.0,
        cents=0.1,
        notices=(),
        trace="t",
        bundles=bundles(calls),
        calls=tuple(call.body() for call in calls),
        versions={
            "dataset": live["router"].dataset,
            "space": live["encoder"].bundle,
            "features": "f" * 16,
            "prices": "e" * 16,
        },
    )
    row = {
        "turn_id": TURN,
        "conversation_id": "c",
        "place": 0,
        "user_id": "ada",
        "time_ms": now_ms,
        "in_context": True,
        "record": json.dumps(reply.record()),
        "state": None,
    }
    with engine.begin() as connection:
        connection.execute(insert(turns_table), [row])


@pytest.fixture(scope="module")
def reader(home: Home) -> Reader:
    return Reader(home, open_database(home.database()))


def test_an_answer_leads_to_models_data_runs_source_and_commits(reader: Reader) -> None:
    graph = follow(Ref("turn", TURN), reader)
    kinds = {ref.kind for ref in graph}
    assert kinds >= {"turn", "bundle", "dataset", "source", "run", "commit", "evidence", "prices"}
    (source,) = (ref for ref in graph if ref.kind == "source")
    assert source.id == f"demo (digest {'5' * 16})"
    routers = [to for role, to in graph[Ref("turn", TURN)].links if role == "router"]
    assert len(routers) == 2
    live_by = [to for role, to in graph[Ref("turn", TURN)].links if role == "live by"]
    subjects = [graph[one].facts["says"] for one in live_by]
    assert any("canary 10" in subject for subject in subjects)
    assert lineage.missing(graph)[0].kind in ("bundle", "dialogues", "features", "run")


def test_links_that_are_gone_say_what_was_looked_for(reader: Reader) -> None:
    graph = follow(Ref("turn", TURN), reader)
    assert graph[Ref("dialogues", "9" * 16)].missing.startswith("no dialogues '999")
    assert "current.yaml" in graph[Ref("features", "f" * 16)].missing
    text = lineage.text(graph, Ref("turn", TURN))
    assert "MISSING: no dialogues '9999999999999999'" in text


def test_a_bundle_tells_its_run_evidence_and_commit(reader: Reader, home: Home) -> None:
    (router,) = (one for one in home.names("bundles") if step_records.of(home, one))
    graph = follow(Ref("bundle", router), reader)
    links = dict(graph[Ref("bundle", router)].links)
    run = graph[links["made by"]]
    assert (run.facts["step"], run.facts["took"], run.facts["cpu"]) == (
        "train_router",
        "60 s",
        "90 s",
    )
    evidence = graph[links["evidence"]]
    assert evidence.facts["run"] == "run-7"
    commit = graph[links["promoted by"]]
    assert commit.links[0] == ("evidence", links["evidence"])


def test_evidence_that_the_home_lost_is_read_from_the_commit(reader: Reader, home: Home) -> None:
    (digest,) = (one.removesuffix(".json") for one in home.names("evidence"))
    text = home.read_text("evidence", f"{digest}.json")
    home.remove("evidence", f"{digest}.json")
    try:
        assert Reader(home, None)(Ref("evidence", digest)).facts["run"] == "run-7"
    finally:
        home.write_text(text or "", "evidence", f"{digest}.json")


def test_what_a_user_said_is_told_only_when_asked_for(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TASTEMAKER_HOME", str(home.root))
    lineage_commands.why(f"resp_{TURN}", environment="local", text=False, as_json=True)
    assert "secret" not in capsys.readouterr().out
    lineage_commands.why(TURN, environment="local", text=True, as_json=False)
    assert "my secret wish" in capsys.readouterr().out


def test_things_of_other_versions_and_broken_ones_are_missing(home: Home, reader: Reader) -> None:
    bundle = make_bundle(home, "router", "a" * 16, "old")
    assert reader(Ref("run", bundle)).missing.startswith(f"no runs/{bundle}.json")
    home.write_text("tables: [", "datasets", f"{'b' * 16}.yaml")
    assert reader(Ref("dataset", "b" * 16)).missing.startswith("cannot be read")
    assert reader(Ref("turn", "nobody")).missing.startswith("no turn nobody")


def test_a_home_without_a_repository_or_database_has_a_lineage(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path / "bare"))
    bundle = make_bundle(home, "router", "a" * 16)
    graph = follow(Ref("bundle", bundle), Reader(home, None))
    assert not graph[Ref("bundle", bundle)].missing
    assert Reader(home, None)(Ref("turn", TURN)).missing
