from datetime import date
from pathlib import Path

import pytest
import yaml

from tastemaker.assistant.prices import LIST, Prices
from tastemaker.core.errors import ConfigError, NotFound


def test_every_listed_price_is_dated_and_sourced() -> None:
    listed = Prices.read().listed
    for name, entry in {**listed.models, **listed.machines}.items():
        assert entry.source.startswith("https://"), name
        assert date(2026, 1, 1) <= entry.read <= date.today(), name
        assert entry.page_date is None or entry.page_date <= entry.read, name
    for name, own in listed.own.items():
        assert own.source.startswith("python -m benchmarks."), name


def test_tokens_times_price_by_hand() -> None:
    charge = Prices.read().charge("gpt-6-sol", 3000, 100, 1000)
    dollars = (2000 * 2.0 + 1000 * 0.20 + 100 * 10.0) / 1e6
    assert charge.cents == pytest.approx(100 * dollars)
    assert charge.compute_s == 0


def test_without_a_cached_price_input_is_charged() -> None:
    prices = Prices.read()
    name = "gemini-3-5-flash-lite"
    assert prices.charge(name, 1000, 0, 900).cents == prices.charge(name, 1000).cents


def test_our_own_core_seconds_by_hand() -> None:
    prices = Prices.read()
    own = prices.listed.own["own-router"]
    machine = prices.listed.machines[own.machine]
    charge = prices.charge("own-router", compute_s=3600.0)
    hours = 1 / (machine.cores * own.busy_frac)  # one core hour, of cores that idle between
    assert charge.cents == pytest.approx(100 * hours * machine.hourly)
    listed = prices.charge("own-router", 2000, 30)
    expected_s = 2 * own.s_per_1k_prompt_tokens + 0.03 * own.s_per_1k_completion_tokens
    assert listed.compute_s == pytest.approx(expected_s + own.s_per_call)


def test_free_and_unknown() -> None:
    assert Prices.read().charge("free", 1000, 1000).cents == 0
    with pytest.raises(NotFound, match="gpt-6-luna"):
        Prices.read().charge("gpt-9")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x["models"]["gpt-6-sol"].pop("source"), "source"),
        (lambda x: x["models"]["gpt-6-sol"].pop("read"), "read"),
        (lambda x: x["models"]["gpt-6-sol"].update(input=-1), "input"),
        (lambda x: x["machines"]["h100"].update(source="ftp://x"), "https"),
        (lambda x: x["own"]["own-router"].update(machine="mainframe"), "mainframe"),
        (lambda x: x["own"]["own-router"].update(busy_frac=0), "busy_frac"),
    ],
)
def test_a_bad_list_is_refused(tmp_path: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    values = yaml.safe_load(LIST.read_text())
    change(values)
    path = tmp_path / "prices.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match=message):
        Prices.read(path)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    for text in ("", "- 1", "a: ["):
        (tmp_path / "x.yaml").write_text(text)
        with pytest.raises(ConfigError, match=r"x\.yaml"):
            Prices.read(tmp_path / "x.yaml")
