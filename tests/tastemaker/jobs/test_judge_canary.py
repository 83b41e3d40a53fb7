"""Canaries judged from a real operational database, by commits in a real bare repository."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, insert

from tastemaker.assistant.called import Called, bundles
from tastemaker.assistant.conversation_tables import turns_table
from tastemaker.assistant.reply import Reply
from tastemaker.core.config import load_preset
from tastemaker.core.database import open_database
from tastemaker.core.errors import PromotionError
from tastemaker.core.home import Home
from tastemaker.data import event_log
from tastemaker.data.event_log import LiveEvent
from tastemaker.jobs import canary_turns, judge_canary
from tastemaker.promotion.environment import get_pins
from tastemaker.promotion.judge_config import JudgeConfig
from tastemaker.promotion.model_file import Live
from tastemaker.promotion.promote import promote, promote_set, rollback
from tastemaker.promotion.repository import open_repository
from tests.tastemaker.promotion.shop import make_bundle, make_set, signed, signed_set

CONFIG = load_preset(JudgeConfig, "judge", "default", ["weights=[50, 100]", "first_look=60"])
ITEMS = 8


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a set that is live and a canary of the router, at 50 %."""
    home = Home.open(str(tmp_path_factory.mktemp("template") / "home"))
    live = make_set(home)
    promote_set(home, "local", live, signed_set(home, live), "first models")
    stable = live["router"]
    tried = Live(make_bundle(home, "router", stable.space, "b"), stable.dataset, stable.space)
    proof = signed(home, "router", tried, stable.bundle)
    promote(home, "local", "router", tried, proof, canary=50)
    return home.root


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Home:
    shutil.copytree(template, tmp_path / "home", symlinks=True)
    return Home.open(str(tmp_path / "home"))


@pytest.fixture
def engine(home: Home) -> Engine:
    return open_database(home.database())


def write_turns(
    engine: Engine,
    home: Home,
    num: int,
    *,
    slow: float = 1.0,
    errors: float = 0.0,
    seed: int = 0,
) -> None:
    """Turns as the assistant keeps them, half of their requests to the canary."""
    pins = get_pins(home, "local", "router")
    assert pins.canary is not None
    draw, now_ms = np.random.default_rng(seed), int(time.time() * 1000)
    names, rows = (pins.live.bundle, pins.canary.bundle), []
    for turn in range(num):
        calls = []
        for tried in draw.random(2) < 0.5:
            ms = 50.0 * float(np.exp(draw.normal(0, 0.3))) * (slow if tried else 1.0)
            failed = bool(tried and draw.random() < errors)
            calls.append(Called("router", names[int(tried)], ms, not failed))
        calls.append(Called("encoder", "e" * 16, 5.0, True))
        rows.append(row_of(f"{seed:08}{turn:024}", calls, now_ms + turn))
    with engine.begin() as connection:
        connection.execute(insert(turns_table), rows)
    time.sleep(max(0.0, (now_ms + num) / 1000 - time.time()))  # all of them are in the past


def row_of(turn_id: str, calls: list[Called], time_ms: int) -> dict[str, object]:
    reply = Reply(
        id=turn_id,
        created=time_ms // 1000,
        conversation=f"c{turn_id}",
        question="lamps",
        text="these",
        items=tuple({"item_id": str(n)} for n in range(ITEMS)),
        steps=(),
        prompt_tokens=1,
        completion_tokens=1,
        ms=sum(call.ms for call in calls),
        cents=0.01,
        notices=(),
        trace="",
        bundles=bundles(calls),
        calls=tuple(call.body() for call in calls),
    )
    return {
        "turn_id": turn_id,
        "conversation_id": reply.conversation,
        "place": 0,
        "user_id": None,
        "time_ms": time_ms,
        "in_context": True,
        "record": json.dumps(reply.record()),
        "state": None,
    }


def judge(home: Home, engine: Engine, **more: bool) -> judge_canary.Judgement:
    return judge_canary.run(home, "local", "router", engine, CONFIG, **more)


def test_a_bundle_that_is_good_offline_but_slow_live_is_reverted_once(
    home: Home, engine: Engine
) -> None:
    before = get_pins(home, "local", "router")
    write_turns(engine, home, 400, slow=1.5)
    judgement = judge(home, engine)
    assert judgement.verdict.decision == "revert"
    assert judgement.verdict.reasons[0].startswith("median_ms")
    after = get_pins(home, "local", "router")
    assert after.canary is None
    assert after.live == before.live
    message = open_repository(home).git.message(judgement.commit)
    assert message.startswith("Revert canary router ")
    assert "Reason: judge, look " in message
    assert "median_ms" in message
    with pytest.raises(PromotionError, match="no canary of router runs in environment 'local'"):
        judge(home, engine)


def test_an_equal_one_is_promoted_and_looking_alone_changes_nothing(
    home: Home, engine: Engine
) -> None:
    write_turns(engine, home, 900)
    tried = get_pins(home, "local", "router").canary
    assert tried is not None
    commit = open_repository(home).fetch()
    said = judge(home, engine, act=False)
    assert said.verdict.decision == "step"
    assert open_repository(home).fetch() == commit
    assert judge(home, engine, act=False).verdict == said.verdict
    done = judge(home, engine)
    assert get_pins(home, "local", "router").live.bundle == tried.bundle
    assert get_pins(home, "local", "router").canary is None
    assert open_repository(home).fetch() == done.commit
    assert "promoted" not in done.text()
    assert done.commit in done.text()


def test_one_that_fails_is_reverted(home: Home, engine: Engine) -> None:
    write_turns(engine, home, 300, errors=0.2)
    judgement = judge(home, engine)
    assert judgement.verdict.decision == "revert"
    assert judgement.verdict.reasons[0].startswith("errors 0.")


def test_with_few_turns_it_waits_and_tells_how_many_it_needs(home: Home, engine: Engine) -> None:
    write_turns(engine, home, 50, slow=3)
    judgement = judge(home, engine)
    assert judgement.commit == ""
    assert judgement.verdict.reasons == ("50 turns asked the router; the first look comes at 120",)
    assert json.dumps(judgement.body())


def test_a_canary_that_somebody_changed_meanwhile_is_left_alone(
    home: Home, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_turns(engine, home, 400, slow=1.5)
    trial = judge_canary.trial_of(home, "local", "router")
    stale = iter([trial, replace(trial, commit="0" * 40)])
    monkeypatch.setattr(judge_canary, "trial_of", lambda *_: next(stale))
    with pytest.raises(PromotionError, match="was changed meanwhile"):
        judge(home, engine)
    assert get_pins(home, "local", "router").canary is not None


def test_without_a_canary_there_is_nothing_to_judge(home: Home, engine: Engine) -> None:
    rollback(home, "local", "router")
    with pytest.raises(PromotionError, match="no canary"):
        judge(home, engine)
    with pytest.raises(PromotionError, match="no canary of encoder"):
        judge_canary.run(home, "local", "encoder", engine, CONFIG)


def test_a_database_without_turns_has_none(tmp_path: Path) -> None:
    from sqlalchemy import create_engine

    engine = create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    assert canary_turns.read_turns(engine, "router", 0, 10) == []


def test_a_save_counts_for_the_latest_turn_that_showed_the_item(home: Home, engine: Engine) -> None:
    one, two = "1" * 16, "2" * 16
    first = row_of("a" * 32, [Called("router", one, 1.0, True)], 1000)
    second = row_of("b" * 32, [Called("router", two, 1.0, True)], 2000)
    third = row_of("c" * 32, [Called("router", two, 1.0, True)], 9000)
    second["conversation_id"] = third["conversation_id"] = first["conversation_id"]
    with engine.begin() as connection:
        connection.execute(insert(turns_table), [first, second, third])
    session = str(first["conversation_id"])
    happened = [("0", 1500), ("0", 2500), ("0", 2600), ("1", 2700), ("9", 2800), ("2", 500)]
    events = [
        LiveEvent("ada", session, item, "save", "assistant", time_ms) for item, time_ms in happened
    ]
    event_log.append(engine, [*events, replace(events[0], session_id="another")])
    turns = canary_turns.read_turns(engine, "router", 0, 10_000)
    saved = canary_turns.saves(engine, turns)
    assert saved == {"a" * 32: 1, "b" * 32: 2}
    found = canary_turns.sample(turns, two, saved)
    assert (found.shown_M.tolist(), found.saved_M.tolist()) == ([ITEMS, ITEMS], [2, 0])


def test_requests_count_for_who_answered_and_turns_for_who_answered_first(
    home: Home, engine: Engine
) -> None:
    one, two = "1" * 16, "2" * 16
    calls = [
        Called("router", one, 10.0, True),
        Called("router", two, 30.0, False),
        Called("router", two, 50.0, True),
        Called("router", "", 900.0, False),
        Called("encoder", one, 1.0, True),
    ]
    with engine.begin() as connection:
        connection.execute(insert(turns_table), [row_of("a" * 32, calls, 1000)])
    turns = canary_turns.read_turns(engine, "router", 0, 10_000)
    tried, stable = (canary_turns.sample(turns, bundle, {}) for bundle in (two, one))
    assert (tried.calls_N.tolist(), tried.failed_N.tolist()) == ([2], [1])
    assert (tried.ms_N.tolist(), stable.ms_N.tolist()) == ([50.0], [10.0])
    assert (len(tried.cents_M), len(stable.cents_M)) == (0, 1)
    quiet = canary_turns.silence(turns, [])
    assert (quiet.calls_T.tolist(), quiet.silent_T.tolist()) == ([4], [1])
