"""Exact tool calls of the live router on held-out compositions, against keyword rules.

    python -m benchmarks.router_tool_calls          (after the chain; seconds)

Protocol: every call of the test dialogues, given the true history; a call counts when tool and
all arguments are exact. Test dialogues are about compositions (an attribute and a category) that
training never names. The goal is that of the first measured attempt at such a router.
"""

from benchmarks.rows import row, save
from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.evaluation.tracking import find
from tastemaker.jobs import evaluate_router
from tastemaker.promotion.bundle import load_bundle
from tastemaker.promotion.environment import get_live
from tastemaker.router.tools import ANSWER, TOOLS

COMMAND = "python -m benchmarks.router_tool_calls"
GOAL = 0.95


def main() -> None:
    """Evaluate what is live and write the rows."""
    home = Home.open()
    live = get_live(home, "local", "router")
    bundle = load_bundle(home, live.bundle, family="router")
    evaluate_router.run(home, bundle.card.parents["dialogues"], live.bundle)
    kept = find(home, live.bundle, bundle.card.parents["dialogues"])
    assert kept is not None
    metrics = kept.metrics
    name = load_dataset(home, live.dataset).name
    labels = {"exact_tool_calls": "tool calls", "exact_calls": "all calls, answers too"}
    rows = [
        row(
            f"router, exact {label}, held-out compositions of {name} (baseline: keyword rules)",
            metrics[f"test_{key}"],
            baseline=metrics[f"test_{key}_rules"],
            goal=GOAL,
            unit="fraction",
            seeds=1,
            command=COMMAND,
        )
        for key, label in labels.items()
    ]
    tools = [tool["function"]["name"] for tool in TOOLS]
    rows += [
        row(
            f"router, exact {tool} calls of {name} (baseline: keyword rules)",
            metrics[f"test_exact_{tool}"],
            baseline=metrics[f"test_exact_{tool}_rules"],
            goal=None,
            unit="fraction",
            seeds=1,
            command=COMMAND,
        )
        for tool in tools
        if tool != ANSWER and f"test_exact_{tool}" in metrics
    ]
    save("router_tool_calls", rows)


if __name__ == "__main__":
    main()
