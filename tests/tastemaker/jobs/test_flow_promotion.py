"""What a retraining offers, and that it is promoted once whatever happens in between."""

from dataclasses import replace
from pathlib import Path

import pytest

from tastemaker.core.config import load_preset
from tastemaker.core.database import open_database
from tastemaker.core.home import Home
from tastemaker.jobs import collect_events, flow_promotion, flow_records, new_data, retrain
from tastemaker.jobs.flow_config import FlowConfig, RetrainRule
from tastemaker.promotion import promote
from tastemaker.promotion.environment import get_live, get_pins
from tests.pipelines.flows import cheap_steps
from tests.pipelines.flows.small_loop import add_events, make_home, num_promotions


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    home = make_home(tmp_path / "home")
    monkeypatch.setenv("TASTEMAKER_HOME", home.location)
    return home


@pytest.fixture
def config() -> FlowConfig:
    return load_preset(FlowConfig, "flows", "tiny")


def learnt(home: Home) -> dict[str, str]:
    """Trained on 20 more events, as the pipelines would leave it."""
    add_events(home, 20)
    encoder = get_live(home, "local", "encoder")
    dataset = collect_events.run(home, encoder.dataset, open_database(home.database()))
    cheap_steps.train("t", dataset, encoder.bundle)
    made = flow_promotion.pipeline_run.result(home, "t")
    assert made
    return made


def proof(home: Home, made: dict[str, str]) -> dict[str, str]:
    served = get_live(home, "local", "encoder").dataset
    cheap_steps.judge("j", served, "local", made["sequence"])
    judged = flow_promotion.pipeline_run.result(home, "j")
    assert judged
    return {"recommender": judged["evidence.recommender"]}


def test_new_events_change_the_user_model_alone_and_it_becomes_a_canary(
    home: Home, config: FlowConfig
) -> None:
    made = learnt(home)
    found = flow_promotion.candidates(home, made, "local")
    assert set(found.models) == {"recommender"}
    assert found.served == get_live(home, "local", "encoder").dataset
    assert found.evaluated_on == made["dataset"]
    opened = flow_promotion.open_promotion(home, found, proof(home, made), config)
    canary = get_pins(home, "local", "recommender").canary
    assert canary
    assert (canary.bundle, canary.weight) == (made["sequence"], 10)
    assert opened.record.result["made"]


def test_killed_between_the_push_and_its_record_the_promotion_is_found_again(
    home: Home, config: FlowConfig
) -> None:
    made = learnt(home)
    found, evidence = flow_promotion.candidates(home, made, "local"), proof(home, made)
    first = flow_promotion.open_promotion(home, found, evidence, config)
    flow_records.write(home, replace(first.record, state="running", result={}))
    again = flow_promotion.open_promotion(home, found, evidence, config)
    assert again.fresh
    assert again.record.result == {
        "commit": first.record.result["commit"],
        "made": False,
        "canary": 10,
    }
    assert num_promotions(home) == 1


def test_what_was_rolled_back_is_not_promoted_again_by_the_loop(
    home: Home, config: FlowConfig
) -> None:
    made = learnt(home)
    found, evidence = flow_promotion.candidates(home, made, "local"), proof(home, made)
    first = flow_promotion.open_promotion(home, found, evidence, config)
    promote.rollback(home, "local", "recommender", "the judge said so")
    home.remove(flow_records.FOLDER, "open_promotion", f"{first.record.key}.json")
    again = flow_promotion.open_promotion(home, found, evidence, config)
    assert again.record.result == {
        "commit": first.record.result["commit"],
        "made": False,
        "canary": 10,
    }
    assert get_pins(home, "local", "recommender").canary is None


def test_models_are_due_by_events_and_not_while_a_canary_is_judged(
    home: Home, config: FlowConfig
) -> None:
    made = learnt(home)
    assert retrain.due(home, made["dataset"], config).text == "due: +20 events (33.3%)"
    served = get_live(home, "local", "encoder").dataset
    assert not retrain.due(home, served, config).due
    found = flow_promotion.candidates(home, made, "local")
    flow_promotion.open_promotion(home, found, proof(home, made), config)
    waiting = retrain.due(home, made["dataset"], config, force=True)
    assert waiting.text == "not due: a canary of recommender is being judged"


def test_new_data_is_counted_from_what_the_live_user_model_was_trained_on(
    home: Home, config: FlowConfig
) -> None:
    engine = open_database(home.database())
    before = new_data.look(home, engine, config)
    assert (before.known_events, before.new_events, before.log) == (60, 0, 0)
    add_events(home, 7)
    after = new_data.look(home, engine, config)
    assert (after.known_events, after.new_events, after.log) == (60, 7, 7)
    assert after.key != before.key
    assert new_data.look(home, engine, config).key == after.key


@pytest.mark.parametrize(
    ("events", "age_days", "drifted", "new_items", "due"),
    [
        (600, 1, False, False, True),  # enough
        (499, 1, False, False, False),
        (-600, 1, False, False, True),  # users who were forgotten are a reason too
        (1, 31, False, False, True),
        (0, 31, False, False, False),  # old, but nothing new to learn
        (1, 1, True, False, True),
        (0, 1, True, False, False),
        (0, 1, False, True, True),
    ],
)
def test_due(events: int, age_days: float, drifted: bool, new_items: bool, due: bool) -> None:
    found = retrain.decide(
        RetrainRule(),
        new_events=events,
        known_events=10_000,
        age_days=age_days,
        drifted=drifted,
        new_items=new_items,
    )
    assert found.due is due


def test_a_large_log_needs_a_share_of_new_events_too() -> None:
    few = retrain.decide(
        RetrainRule(),
        new_events=600,
        known_events=1_000_000,
        age_days=1,
        drifted=False,
        new_items=False,
    )
    assert few.text == "not due: +600 events of 10000, age 1.0 days, no drift"
