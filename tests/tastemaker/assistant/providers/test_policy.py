"""Choice, fallback, hedging, breaker and accounts, with scripted members."""

import asyncio
import time
from collections.abc import Callable

import pytest

from tastemaker.assistant.clients import ServiceDown
from tastemaker.assistant.ledger import Attempt
from tastemaker.assistant.providers.backend import BackendFault
from tastemaker.assistant.providers.health import Health
from tastemaker.assistant.providers.policy import NoBackend, Policy
from tastemaker.assistant.providers.request import RouterReply
from tastemaker.assistant.providers.scripted import ScriptedBackend
from tastemaker.core.errors import ConfigError, NotFound
from tests.tastemaker.assistant.providers.conftest import SEARCHED, asked, called

Family = Callable[..., Policy]
DOWN = BackendFault("x", "connection", "refused")


def good(name: str, **more: float) -> ScriptedBackend:
    return ScriptedBackend([SEARCHED], name=name, **more)  # type: ignore[arg-type]


def bad(name: str, fault: Exception = DOWN) -> ScriptedBackend:
    return ScriptedBackend([fault], name=name)


def ask(policy: Policy, timeout_s: float = 5.0):  # type: ignore[no-untyped-def]
    return asyncio.run(policy.complete(asked(), timeout_s=timeout_s))


def test_the_first_member_answers_while_it_can(family: Family) -> None:
    first, second = good("a"), good("b")
    routed = ask(family([first, second]))
    assert (routed.member, routed.reply.message) == ("a", SEARCHED)
    assert [attempt.outcome for attempt in routed.attempts] == ["ok"]
    assert not second.asked


@pytest.mark.parametrize("kind", ["connection", "timeout", "server", "limited", "garbage"])
def test_a_member_that_fails_is_followed_by_the_next(family: Family, kind: str) -> None:
    routed = ask(family([bad("a", BackendFault("a", kind, "x")), good("b")]))  # type: ignore[arg-type]
    assert routed.member == "b"
    assert [(a.member, a.outcome) for a in routed.attempts] == [("a", kind), ("b", "ok")]


def test_garbage_of_a_script_is_garbage(family: Family) -> None:
    broken = [{"content": ""}, called("no_such_tool"), {"tool_calls": [{"function": 3}]}]
    for message in broken:
        routed = ask(family([ScriptedBackend([message], name="a"), good("b")]))
        assert [a.outcome for a in routed.attempts] == ["garbage", "ok"]


def test_a_readable_wrong_call_is_the_last_resort(family: Family) -> None:
    wrong = called("no_such_tool")
    routed = ask(family([ScriptedBackend([wrong], name="a"), bad("b")]))
    assert (routed.member, routed.reply.message) == ("a", wrong)
    assert [a.outcome for a in routed.attempts] == ["garbage", "connection"]


def test_all_failed_is_a_service_that_is_down_and_every_attempt_is_told(family: Family) -> None:
    policy, attempts = family([bad("a"), bad("b")]), list[Attempt]()

    async def run() -> None:
        with pytest.raises(NoBackend, match=r"a: connection.*b: connection") as caught:
            await policy.complete(asked(), timeout_s=5, attempts=attempts)
        assert isinstance(caught.value, ServiceDown)

    asyncio.run(run())
    assert [a.member for a in attempts] == ["a", "b"]


def test_a_slow_member_is_overtaken_and_both_are_paid(family: Family) -> None:
    luna = {"price": "gpt-6-luna"}
    policy = family([good("a", latency_s=2), good("b")], {"a": luna, "b": luna}, slow_after_ms=50)
    start = time.monotonic()
    routed = ask(policy)
    assert time.monotonic() - start < 1
    assert routed.member == "b"
    found = {a.member: a for a in routed.attempts}
    assert found["a"].outcome == "overtaken"
    assert found["a"].prompt_tokens > 500  # estimated: rules and tools were sent
    assert found["a"].cents > 0
    assert routed.cents == pytest.approx(found["a"].cents + found["b"].cents)


def test_a_hedge_that_loses_does_not_count_against_its_member(family: Family) -> None:
    policy = family([good("a", latency_s=0.15), good("b", latency_s=5)], slow_after_ms=50)
    routed = ask(policy)
    assert routed.member == "a"
    assert policy.member("b").health.state == "closed"
    assert [a.outcome for a in routed.attempts] == ["ok", "overtaken"]


def test_a_member_that_is_always_overtaken_is_left_alone(family: Family) -> None:
    slow = good("a", latency_s=5)
    policy = family([slow, good("b")], slow_after_ms=20, failures_to_open=2)
    for _ in range(4):
        assert ask(policy).member == "b"
    assert len(slow.asked) == 2


def test_the_deadline_ends_everything(family: Family) -> None:
    start = time.monotonic()
    with pytest.raises(NoBackend, match="timeout"):
        ask(family([good("a", latency_s=9), good("b", latency_s=9)]), timeout_s=0.2)
    assert time.monotonic() - start < 1


def test_a_caller_that_leaves_is_accounted(family: Family) -> None:
    policy, attempts = family([good("a", latency_s=5)]), list[Attempt]()

    async def run() -> None:
        task = asyncio.create_task(policy.complete(asked(), timeout_s=9, attempts=attempts))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert [a.outcome for a in attempts] == ["left"]
    assert policy.member("a").health.state == "closed"


def test_breaker_opens_is_probed_and_closes_again(family: Family) -> None:
    flaky = ScriptedBackend([DOWN, DOWN, DOWN, SEARCHED], name="a")
    policy = family([flaky, good("b")], failures_to_open=3, open_s=0.2)
    assert [ask(policy).member for _ in range(5)] == ["b"] * 5
    assert len(flaky.asked) == 3  # then it was left alone
    assert policy.member("a").health.state == "open"
    time.sleep(0.25)
    assert policy.member("a").health.state == "half-open"
    assert ask(policy).member == "a"
    assert policy.member("a").health.state == "closed"


def test_half_open_lets_one_request_through_at_a_time(family: Family) -> None:
    now = [0.0]
    health = Health(failures_to_open=1, open_s=10, clock=lambda: now[0])
    health.failed()
    assert not health.admits()
    now[0] = 11
    assert health.admits()
    health.begin()
    assert not health.admits()
    health.failed()
    assert health.state == "open"
    now[0] = 22
    health.begin()
    health.succeeded(5, 0)
    assert health.admits()


def test_a_lone_member_is_asked_whatever_its_breaker_says(family: Family) -> None:
    flaky = ScriptedBackend([DOWN, DOWN, SEARCHED], name="a")
    policy = family([flaky], failures_to_open=1, open_s=60)
    for _ in range(2):
        with pytest.raises(NoBackend):
            ask(policy)
    assert ask(policy).member == "a"


def test_retry_after_is_honoured(family: Family) -> None:
    limited = ScriptedBackend(
        [BackendFault("a", "limited", "429", retry_after_s=0.3), SEARCHED], name="a"
    )
    policy = family([limited])
    with pytest.raises(NoBackend, match="limited"):
        ask(policy)
    with pytest.raises(NoBackend, match="left alone"):
        ask(policy)
    assert len(limited.asked) == 1
    time.sleep(0.35)
    assert ask(policy).member == "a"


def test_a_request_that_is_wrong_is_not_the_members_fault(family: Family) -> None:
    policy = family([bad("a", BackendFault("a", "refused", "too long"))], failures_to_open=1)
    with pytest.raises(NoBackend, match="refused"):
        ask(policy)
    assert policy.member("a").health.state == "closed"


def test_cheapest_within_its_latency_budget(family: Family) -> None:
    prices = {
        "dear": {"price": "gpt-6-sol", "latency_budget_ms": 1000},
        "cheap": {"price": "gpt-6-luna", "latency_budget_ms": 30},
    }
    cheap = good("cheap", latency_s=0.1)
    policy = family([good("dear"), cheap], prices, choose="cheapest", stale_s=0.4)
    assert ask(policy).member == "cheap"  # nothing measured yet
    assert ask(policy).member == "dear"  # it took longer than its budget
    time.sleep(0.45)
    assert ask(policy).member == "cheap"  # long ago: it gets another try


def test_fastest_by_what_was_measured(family: Family) -> None:
    policy = family([good("a", latency_s=0.08), good("b", latency_s=0.01)], choose="fastest")
    assert [ask(policy).member for _ in range(4)] == ["a", "b", "b", "b"]


def test_unknown_price_and_unknown_shadow_are_refused(family: Family) -> None:
    with pytest.raises(NotFound, match="gpt-9"):
        family([good("a")], {"a": {"price": "gpt-9"}})
    with pytest.raises(ValueError, match="shadow"):
        family([good("a"), good("b")], shadow={"member": "c"})


def test_a_missing_key_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    from tastemaker.assistant.providers.members import build_backend
    from tastemaker.assistant.providers.settings import MemberConfig

    monkeypatch.delenv("SOME_KEY", raising=False)
    member = MemberConfig(
        name="a", kind="openai", url="http://127.0.0.1:1/v1", api_key_env="SOME_KEY"
    )
    with pytest.raises(ConfigError, match="SOME_KEY"):
        build_backend(member, None)  # type: ignore[arg-type]


def test_shadow_is_off_the_path_and_compared(family: Family) -> None:
    other = called("search_items", query="red lamp")
    slow = ScriptedBackend([other], name="b", latency_s=0.3)
    luna = {"price": "gpt-6-luna"}
    policy = family([good("a"), slow], {"b": luna}, shadow={"member": "b", "frac": 1.0})

    async def run() -> None:
        start = time.monotonic()
        routed = await policy.complete(asked(), timeout_s=5)
        assert time.monotonic() - start < 0.2
        assert routed.member == "a"
        assert policy.shadow is not None
        await policy.shadow.settle()

    asyncio.run(run())
    assert policy.shadow is not None
    found = policy.shadow.summary()
    assert (found["num"], found["same_tool_frac"], found["same_arguments_frac"]) == (1, 1, 0)
    assert found["mean_shadow_ms"] > 250
    assert found["mean_shadow_cents"] > found["mean_primary_cents"] == 0
    lines = policy.shadow.ledger.of_turn("")
    assert [(line["name"], line["member"]) for line in lines] == [("shadow", "b")]


def test_a_shadow_that_fails_or_is_flooded_bothers_nobody(family: Family) -> None:
    stuck = ScriptedBackend([SEARCHED], name="b", latency_s=3)
    shadow = {"member": "b", "frac": 1.0, "max_at_once": 2}
    policy = family([good("a"), stuck], shadow=shadow)

    async def run() -> None:
        for _ in range(6):
            assert (await policy.complete(asked(), timeout_s=5)).member == "a"
        await asyncio.sleep(0.01)
        assert len(stuck.asked) == 2
        await policy.close()

    asyncio.run(run())
    failing = family([good("a"), bad("b")], shadow={"member": "b", "frac": 1.0})

    async def fail() -> None:
        assert (await failing.complete(asked(), timeout_s=5)).member == "a"
        assert failing.shadow is not None
        await failing.shadow.settle()

    asyncio.run(fail())
    assert failing.shadow is not None
    assert failing.shadow.summary()["num_ok"] == 0


def test_the_reply_carries_the_members_own_counts(family: Family) -> None:
    routed = ask(family([good("a", prompt_tokens=1000, completion_tokens=20)]))
    assert routed.reply == RouterReply(SEARCHED, 1000, 20)
    assert routed.attempts[0].prompt_tokens == 1000
