"""What a turn costs on our own machines and on a third party's price list, side by side.

The same conversations are priced both ways. Ours is measured: core seconds of the router and of the
tool servers. Theirs is computed: the tokens of the very requests that would be sent, at list price.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group
from rich.table import Table

from tastemaker.assistant.prices import Prices
from tastemaker.assistant.providers.openai_compatible import OpenAICompatible, estimated_tokens
from tastemaker.assistant.providers.request import RouterRequest
from tastemaker.assistant.providers.translation import RULES

LOAD_FRAC = 0.5  # assumed: of the throughput measured under load, what a day's traffic uses
HOURS_A_MONTH = 730
MIN_CACHED_TOKENS = 1024  # assumed: a provider caches no shorter prefix
ASSUMED_QUALITY = 1.0  # of third parties: nobody here can call them, so take the best there is


@dataclass(frozen=True)
class Tokens:
    """Tokens of one request to a third party, estimated."""

    prompt: int
    completion: int
    cached: int


@dataclass(frozen=True)
class OwnRun:
    """What our own router and tools took for some conversations.

    Attributes:
        turns: User turns.
        calls: Router requests.
        router_core_s: Core seconds of the router's processes, all requests together.
        tools: By tool server, requests and core seconds for the same turns.
        wall_s: From the first request to the last reply.
        cores: Of the machine that it ran on.
        prompt_tokens, completion_tokens: As the router counts them.
        latency_ms: Median and 95th percentile of one router request, under this load.
        concurrency: Conversations at once.
        exact_tool_calls: Share of tool calls that are exact, given the true history.
        exact_calls: The same with answers.
    """

    turns: int
    calls: int
    router_core_s: float
    tools: Mapping[str, tuple[int, float]]
    wall_s: float
    cores: int
    prompt_tokens: int
    completion_tokens: int
    latency_ms: tuple[float, float]
    concurrency: int
    exact_tool_calls: float
    exact_calls: float

    @property
    def tools_core_s(self) -> float:
        """Core seconds of all tool servers."""
        return sum(core_s for _, core_s in self.tools.values())

    @property
    def measured_busy_frac(self) -> float:
        """Share of the machine's core time that the router used under load, at most 1."""
        return min(1.0, self.router_core_s / (self.wall_s * self.cores))


@dataclass(frozen=True)
class Price:
    """Cost per 1,000 turns in US dollars, and our price as a fraction of it."""

    name: str
    cached: bool
    dollars: float
    ratio: float


def third_party_tokens(
    requests: Sequence[RouterRequest],
    replies: Sequence[dict[str, Any]],
    continues: Sequence[bool],
    backend: OpenAICompatible,
) -> list[Tokens]:
    """Estimated tokens of each request, were it sent to a third party.

    Args:
        requests: Router steps in order, conversation by conversation.
        replies: The right message for each.
        continues: Whether a request goes on from the one before it.
        backend: The client that would send them.

    Returns:
        Tokens of each; `cached` is all of a conversation's previous request, or the rules and
        tools that every request begins with, where that is long enough to be cached.
    """
    out: list[Tokens] = []
    for request, reply, goes_on in zip(requests, replies, continues, strict=True):
        prompt = estimated_tokens(backend.body(request))
        shared = [{"role": "system", "content": RULES}]
        fixed = estimated_tokens({"messages": shared, "tools": list(request.tools)})
        prefix = out[-1].prompt if goes_on else fixed
        cached = min(prefix, prompt) if prefix >= MIN_CACHED_TOKENS else 0
        completion = estimated_tokens({"messages": [reply]})
        out.append(Tokens(prompt, completion, cached))
    return out


def own_dollars(run: OwnRun, prices: Prices, machine: str) -> float:
    """Our cost per 1,000 turns: router and tools, with the idle time of the machine."""
    busy_frac = run.measured_busy_frac * LOAD_FRAC
    core_s = run.router_core_s + run.tools_core_s
    return prices.core_cents(machine, core_s, busy_frac) / 100 / run.turns * 1000


def compare(
    run: OwnRun, tokens: Sequence[Tokens], prices: Prices, machine: str
) -> tuple[float, list[Price]]:
    """Our cost and that of every listed model, per 1,000 turns.

    Returns:
        Ours in US dollars, then theirs, the cheapest first: with and without cached input.
    """
    ours, theirs = own_dollars(run, prices, machine), []
    for name in prices.listed.models:
        for with_cache in (True, False):
            cents = sum(
                prices.charge(name, t.prompt, t.completion, t.cached if with_cache else 0).cents
                for t in tokens
            )
            dollars = cents / 100 / run.turns * 1000
            theirs.append(Price(name, with_cache, dollars, ours / dollars))
    return ours, sorted(theirs, key=lambda price: price.dollars)


def break_even_turns(dollars: float, prices: Prices, machine: str) -> float:
    """Turns a month from which on a whole machine of ours is cheaper than a third party.

    Args:
        dollars: Theirs, per 1,000 turns.
        prices: The price list.
        machine: Ours, which is paid for whether it works or not.
    """
    return prices.listed.machines[machine].hourly * HOURS_A_MONTH / dollars * 1000


def assumptions(run: OwnRun, prices: Prices, machine: str) -> list[str]:
    """Everything that the comparison takes for granted, a sentence each."""
    listed = prices.listed.machines[machine]
    dated = {name: price.page_date or price.read for name, price in prices.listed.models.items()}
    return [
        f"Our machine: {machine}, {listed.cores} cores, ${listed.hourly} an hour "
        f"({listed.source}); a core of it does what a core of this machine does.",
        f"Our cores: under load the router kept {run.measured_busy_frac:.2f} of {run.cores} cores "
        f"busy (other work on this machine lowers this, against us); a day's traffic is assumed to "
        f"use {LOAD_FRAC:.0%} of that throughput, so {run.measured_busy_frac * LOAD_FRAC:.2f} of "
        "the paid core time does work.",
        "Ours includes the tool servers (encoder, retrieval, recommender); theirs is tokens alone, "
        "though it would need the same tools.",
        "Neither side includes the gateway and its databases, which both need; nor making the "
        "models, nor anybody's work.",
        "Their tokens: characters / 4 of the requests that would be sent, rules and tool schemas "
        "included; no thinking tokens, no retries; the right call as the reply.",
        f"Their cache: every repeated prefix of {MIN_CACHED_TOKENS} tokens or more is billed as "
        "cached input, and writing it costs nothing: both in their favour.",
        f"Their quality: taken as {ASSUMED_QUALITY:g}, every call exact; none of them can be "
        "called from here. Their latency is not known here.",
        "List prices, US dollars, as of "
        + ", ".join(f"{name} {when}" for name, when in sorted(dated.items()))
        + ".",
    ]


def show(
    run: OwnRun, tokens: Sequence[Tokens], prices: Prices, machine: str, console: Console
) -> None:
    """Print the report: what was measured, the table, the assumptions."""
    ours, theirs = compare(run, tokens, prices, machine)
    measured = Table("measured", "", box=None, pad_edge=False)
    steps = run.calls / run.wall_s
    num = len(tokens)
    for name, value in (
        ("turns, router requests", f"{run.turns}, {run.calls}"),
        ("conversations at once", f"{run.concurrency}"),
        ("router requests a second", f"{steps:.1f} ({run.turns / run.wall_s:.1f} turns)"),
        (
            "router tokens a second",
            f"{run.prompt_tokens / run.wall_s:.0f} read, "
            f"{run.completion_tokens / run.wall_s:.0f} written",
        ),
        ("core seconds a turn, router", f"{run.router_core_s / run.turns:.3f}"),
        ("core seconds a turn, tools", f"{run.tools_core_s / run.turns:.3f}"),
        ("router latency, p50 and p95", "{:.0f} ms, {:.0f} ms".format(*run.latency_ms)),
        ("exact tool calls, all calls", f"{run.exact_tool_calls:.3f}, {run.exact_calls:.3f}"),
        (
            "our tokens a request",
            f"{run.prompt_tokens / run.calls:.0f} + {run.completion_tokens / run.calls:.0f}",
        ),
        (
            "their tokens a request",
            f"{sum(t.prompt for t in tokens) / num:.0f} "
            f"({sum(t.cached for t in tokens) / num:.0f} cached) + "
            f"{sum(t.completion for t in tokens) / num:.0f}, estimated",
        ),
    ):
        measured.add_row(name, value)
    table = Table(
        "who", "input", "per 1,000 turns", "ours is", "exact tool calls", "pays from", box=None
    )
    table.add_row(
        "ours", "measured", f"${ours:.4f}", "", f"{run.exact_tool_calls:.3f} measured", ""
    )
    for price in theirs:
        table.add_row(
            price.name,
            "cached" if price.cached else "full price",
            f"${price.dollars:.4f}",
            f"{price.ratio:.1%}",
            f"{ASSUMED_QUALITY:.3f} assumed",
            f"{break_even_turns(price.dollars, prices, machine) / 1000:,.0f}k turns a month",
        )
    by_token = 1000 * run.router_core_s / max(run.completion_tokens, 1)
    listed = [f"own-router: s_per_1k_completion_tokens: {by_token:.2f}"]
    for name, (calls, core_s) in run.tools.items():
        listed.append(f"own-{name}: s_per_call: {core_s / max(calls, 1):.4f}")
    said = "\n".join(f"- {line}" for line in assumptions(run, prices, machine))
    console.print(Group(measured, "", table, "", "For the price list: " + "; ".join(listed)))
    console.print("\nAssumptions (`pays from`: one machine, paid for whether it works or not)")
    console.print(said, markup=False, highlight=False)
