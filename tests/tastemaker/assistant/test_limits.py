import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from tastemaker.assistant.errors import TooMany
from tastemaker.assistant.identity import OPEN, Caller
from tastemaker.assistant.limits import COPY_S, Limits
from tastemaker.core.statements import writing

ADA = Caller("ada-key", "ada", frozenset({"user"}), requests_per_minute=6, cents_per_day=10.0)
NOON_S = 1_795_521_600.0  # 2026-11-24 12:00 UTC


class Clock:
    def __init__(self) -> None:
        self.now_s = NOON_S

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def engine(each_database: Engine) -> Engine:
    return each_database


@pytest.fixture
def clock() -> Clock:
    return Clock()


def charge(limits: Limits, caller: Caller, cents: float) -> None:
    with writing(limits.engine) as direct:
        spent = limits.charge(direct, caller.name, cents)
    limits.keep(spent)


def check(limits: Limits, caller: Caller) -> None:
    asyncio.run(limits.check_spend(caller))
    limits.check_rate(caller)


def remaining(limits: Limits, caller: Caller) -> float:
    return asyncio.run(limits.remaining(caller))


def test_a_minutes_requests_then_one_every_ten_seconds(engine: Engine, clock: Clock) -> None:
    limits = Limits(engine, clock)
    for _ in range(6):
        check(limits, ADA)
    with pytest.raises(TooMany, match="more than 6 requests a minute") as refused:
        check(limits, ADA)
    assert refused.value.retry_after_s == pytest.approx(10)
    assert refused.value.headers == {"Retry-After": "10"}
    clock.now_s += 4  # a refused request costs nothing, and what was gained meanwhile stays
    with pytest.raises(TooMany) as refused:
        check(limits, ADA)
    assert refused.value.retry_after_s == pytest.approx(6)
    clock.now_s += 6.001
    check(limits, ADA)
    with pytest.raises(TooMany):
        check(limits, ADA)
    check(limits, replace(ADA, name="another"))  # each has a bucket of its own
    clock.now_s += 3600
    for _ in range(6):  # no more than one minute's worth is saved up
        check(limits, ADA)
    with pytest.raises(TooMany):
        check(limits, ADA)


def test_a_clock_that_goes_back_gives_and_takes_nothing(engine: Engine, clock: Clock) -> None:
    limits = Limits(engine, clock)
    for _ in range(3):
        limits.check_rate(ADA)
    clock.now_s -= 3600
    for _ in range(3):
        limits.check_rate(ADA)
    with pytest.raises(TooMany):
        limits.check_rate(ADA)


def test_the_rate_is_exact_under_threads(engine: Engine, clock: Clock) -> None:
    limits, many = Limits(engine, clock), replace(ADA, requests_per_minute=100)

    def ask(_: int) -> bool:
        try:
            check(limits, many)
        except TooMany:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(400))) == 100


def test_spent_money_survives_a_restart_and_comes_back_at_midnight_utc(
    engine: Engine, clock: Clock
) -> None:
    limits = Limits(engine, clock)
    charge(limits, ADA, 9.5)
    assert asyncio.run(limits.check_spend(ADA)) == remaining(limits, ADA)
    assert remaining(limits, ADA) == pytest.approx(0.5)
    charge(limits, ADA, 0.75)
    for one in (limits, Limits(engine, clock)):
        with pytest.raises(TooMany, match=r"10\.25 of 10 cents of this UTC day") as refused:
            check(one, ADA)
        assert refused.value.retry_after_s == pytest.approx(12 * 3600)
        one.check_rate(ADA)  # what is free goes on
    clock.now_s += 12 * 3600 - 1
    with pytest.raises(TooMany):
        check(limits, ADA)
    clock.now_s += 1
    check(limits, ADA)
    assert remaining(limits, ADA) == 10


def test_what_another_process_spent_is_seen_within_seconds(engine: Engine, clock: Clock) -> None:
    here, there = Limits(engine, clock), Limits(engine, clock)
    check(here, ADA)
    charge(there, ADA, 20)
    check(here, ADA)
    clock.now_s += COPY_S
    with pytest.raises(TooMany):
        check(here, ADA)


def test_no_cent_is_lost_between_threads_and_processes(engine: Engine, clock: Clock) -> None:
    both = [Limits(engine, clock), Limits(engine, clock)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: charge(both[n % 2], ADA, 0.25), range(200)))
    assert remaining(Limits(engine, clock), ADA) == pytest.approx(10 - 50)
    assert min(remaining(one, ADA) for one in both) == pytest.approx(10 - 50)


def test_a_key_without_money_may_do_what_is_free(engine: Engine, clock: Clock) -> None:
    poor = replace(ADA, cents_per_day=0.0)
    Limits(engine, clock).check_rate(poor)
    with pytest.raises(TooMany):
        asyncio.run(Limits(engine, clock).check_spend(poor))


def test_without_a_limit_nothing_is_refused(engine: Engine, clock: Clock) -> None:
    limits = Limits(engine, clock)
    charge(limits, OPEN, 1e9)
    check(limits, OPEN)
    assert remaining(limits, OPEN) == math.inf


@pytest.mark.parametrize("cents", [-1.0, math.inf, math.nan])
def test_an_impossible_amount_is_refused(engine: Engine, cents: float) -> None:
    with pytest.raises(ValueError, match="cents="):
        charge(Limits(engine), ADA, cents)


def test_idle_callers_are_forgotten(
    engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tastemaker.assistant.limits._MAX_HELD", 10)
    limits = Limits(engine, clock)
    for n in range(50):
        check(limits, replace(ADA, name=f"k{n}"))
        clock.now_s += 30
    assert len(limits._buckets) <= 12


def test_a_check_is_fast(engine: Engine) -> None:
    limits, fast = Limits(engine), replace(ADA, requests_per_minute=10_000_000)
    charge(limits, fast, 1)
    times_s = []

    async def many() -> None:
        for _ in range(500):
            begin_s = time.perf_counter()
            await limits.check_spend(fast)
            limits.check_rate(fast)
            times_s.append(time.perf_counter() - begin_s)

    asyncio.run(many())
    assert sorted(times_s)[250] < 0.0002
