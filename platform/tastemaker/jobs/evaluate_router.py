"""Evaluate a router: exact calls on held-out compositions, against keyword rules."""

import json
from collections import defaultdict
from typing import Any

import numpy as np
import torch

from tastemaker.core.home import Home
from tastemaker.evaluation.report import Report, bars, curve, figure
from tastemaker.evaluation.tracking import record
from tastemaker.promotion.bundle import load_bundle
from tastemaker.router.batches import encode
from tastemaker.router.dialogue_files import Dialogue, open_dialogues
from tastemaker.router.keyword_baseline import KeywordRouter
from tastemaker.router.model import load_model
from tastemaker.router.scoring import Score, score_calls


def run(home: Home, dialogues: str, router: str) -> str:
    """Score every call of the test dialogues, given the true history.

    Returns:
        Digest of the metrics.

    Raises:
        NotFound: No such dialogues or bundle.
    """
    bundle = load_bundle(home, router, family="router")
    made = open_dialogues(home.fetch("dialogues", dialogues))
    model, tokenizer = load_model(bundle.path / "model")
    torch.set_num_threads(bundle.card.config["threads"])
    metrics: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    for split in ("val", "test"):
        read = made.read(split)
        scores = score_calls(model, tokenizer, encode(read, tokenizer), made.vectors)
        rules = KeywordRouter(made.meta["nouns"], made.meta["colors"])
        found = [
            {
                "kind": turn.kind,
                "tool": turn.name,
                "unseen": turn.unseen,
                "took": score.tool or "no call",
                "model": score.exact,
                "rules": by,
            }
            for dialogue, row in zip(read, scores, strict=True)
            for (turn, by), score in zip(_by_rules(dialogue, rules), row, strict=True)
        ]
        metrics.update(_figures(found, split))
        rows = found
    report = Report(f"Router {router}")
    report.text(
        f"{len(rows)} calls of {len(read)} test dialogues about compositions (an attribute and a "
        "category) that training never names. A call counts when tool and all arguments are "
        "exact, given the true history; the baseline is keyword rules on the same history."
    )
    by_kind, by_tool = _by(rows, "kind"), _by(rows, "tool")
    report.table("Exact calls by kind", by_kind)
    report.table("Exact calls by tool", by_tool)
    report.plot(
        "Exact tool calls on held-out compositions",
        bars(
            {
                "router": metrics["test_exact_tool_calls"],
                "keyword rules": metrics["test_exact_tool_calls_rules"],
            },
            "exact calls",
        ),
    )
    report.plot("By kind", _pairs(by_kind, "kind"))
    report.plot("By tool", _pairs(by_tool, "tool"))
    report.plot("The tool that was wanted and the one that the router took", _confusion(rows))
    report.plot(
        "Training loss", curve(json.loads((bundle.path / "curve.json").read_text()), "nats")
    )
    report.table("Calls that were wrong", _wrong(read, scores))
    return record(
        home,
        bundle_digest=router,
        family="router",
        metrics=metrics,
        params=bundle.card.config,
        report_html=report.html(),
    )


def _by_rules(dialogue: Dialogue, rules: KeywordRouter) -> list[tuple[Any, bool]]:
    out = []
    for place, turn in enumerate(dialogue.turns):
        if turn.role == "assistant":
            name, arguments = rules.call(dialogue.turns[:place])
            out.append((turn, name == turn.name and arguments == (turn.arguments or {})))
    return out


def _figures(found: list[dict[str, Any]], split: str) -> dict[str, float]:
    tools = [row for row in found if row["tool"] != "answer"]
    unseen = [row for row in found if row["unseen"]]
    out = {}
    for name, part in (
        ("exact_calls", found),
        ("exact_tool_calls", tools),
        ("unseen_wordings", unseen),
    ):
        for method, suffix in (("model", ""), ("rules", "_rules")):
            if part:
                out[f"{split}_{name}{suffix}"] = float(np.mean([row[method] for row in part]))
    for row in _by(found, "tool"):
        out[f"{split}_exact_{row['tool']}"] = row["router"]
        out[f"{split}_exact_{row['tool']}_rules"] = row["keyword rules"]
    out[f"{split}_num_calls"] = len(found)
    return out


def _by(found: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    groups = defaultdict(list)
    for row in found:
        groups[row[key]].append(row)
    return [
        {
            key: name,
            "calls": len(group),
            "router": float(np.mean([row["model"] for row in group])),
            "keyword rules": float(np.mean([row["rules"] for row in group])),
        }
        for name, group in sorted(groups.items())
    ]


def _pairs(rows: list[dict[str, Any]], key: str) -> Any:
    made, axes = figure(7, 0.8 + 0.28 * len(rows))
    places = np.arange(len(rows))
    axes.barh(places - 0.2, [row["router"] for row in rows], 0.4, label="router")
    axes.barh(places + 0.2, [row["keyword rules"] for row in rows], 0.4, label="keyword rules")
    axes.set_yticks(places, [f"{row[key]} ({row['calls']})" for row in rows])
    axes.set_xlabel("exact calls")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return made


def _confusion(found: list[dict[str, Any]]) -> Any:
    """Of the calls of each wanted tool, the share that began with each tool."""
    wanted = sorted({row["tool"] for row in found})
    taken = sorted(set(wanted) | {row["took"] for row in found})
    share = np.zeros((len(wanted), len(taken)))
    for row in found:
        share[wanted.index(row["tool"]), taken.index(row["took"])] += 1
    share /= share.sum(axis=1, keepdims=True)
    made, axes = figure(7, 1.6 + 0.4 * len(wanted))
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (y, x), value in np.ndenumerate(share):
        if value:
            shown = f"{value:.3f}" if value < 1 else "1"
            axes.text(x, y, shown, ha="center", va="center", color="w" if value > 0.5 else "k")
    axes.set_yticks(range(len(wanted)), wanted)
    axes.set_xticks(range(len(taken)), taken, rotation=30, ha="right")
    axes.set_ylabel("wanted")
    axes.set_xlabel("taken")
    return made


def _wrong(read: list[Dialogue], scores: list[list[Score]]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for dialogue, row in zip(read, scores, strict=True):
        calls = [n for n, turn in enumerate(dialogue.turns) if turn.role == "assistant"]
        for place, score in zip(calls, row, strict=True):
            if not score.exact and len(out) < 24:
                turn, before = dialogue.turns[place], dialogue.turns[place - 1]
                out.append(
                    {
                        "after": before.text or "a tool's result",
                        "expected": f"{turn.name} {turn.arguments}",
                        "took": score.tool,
                    }
                )
    return out or [{"after": "-", "expected": "none was wrong"}]
