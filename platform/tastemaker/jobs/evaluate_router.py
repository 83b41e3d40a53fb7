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
from tastemaker.router.batches import encode, pad_id
from tastemaker.router.dialogue_files import Dialogue, open_dialogues
from tastemaker.router.keyword_baseline import KeywordRouter
from tastemaker.router.model import load_model
from tastemaker.router.scoring import exact_calls


def run(home: Home, dialogues: str, router: str) -> str:
    """Score every call of the test dialogues, given the true history.

    Returns:
        Digest of the metrics.

    Raises:
        NotFound: No such dialogues or bundle.
    """
    bundle = load_bundle(home, router, family="router")
    made = open_dialogues(home.path("dialogues", dialogues))
    model, tokenizer = load_model(bundle.path / "model")
    torch.set_num_threads(bundle.card.config["threads"])
    metrics: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    for split in ("val", "test"):
        read = made.read(split)
        exact = exact_calls(model, encode(read, tokenizer), made.vectors, pad_id(tokenizer))
        rules = KeywordRouter(made.meta["nouns"], made.meta["colors"])
        found = [
            {
                "kind": turn.kind,
                "tool": turn.name,
                "unseen": turn.unseen,
                "model": right,
                "rules": by,
            }
            for dialogue, rights in zip(read, exact, strict=True)
            for (turn, by), right in zip(_by_rules(dialogue, rules), rights, strict=True)
        ]
        metrics.update(_figures(found, split))
        rows = found
    report = Report(f"Router {router}")
    report.text(
        f"{len(rows)} calls of {len(read)} test dialogues about compositions (an attribute and a "
        "category) that training never names. A call counts when tool and all arguments are "
        "exact, given the true history; the baseline is keyword rules on the same history."
    )
    by_kind = _by(rows, "kind")
    report.table("Exact calls by kind", by_kind)
    report.table("Exact calls by tool", _by(rows, "tool"))
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
    report.plot("By kind", _kinds(by_kind))
    report.plot(
        "Training loss", curve(json.loads((bundle.path / "curve.json").read_text()), "nats")
    )
    report.table("Calls that were wrong", _wrong(read, exact))
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


def _kinds(by_kind: list[dict[str, Any]]) -> Any:
    made, axes = figure(7, 4.2)
    names = [row["kind"] for row in by_kind]
    places = np.arange(len(names))
    axes.barh(places - 0.2, [row["router"] for row in by_kind], 0.4, label="router")
    axes.barh(places + 0.2, [row["keyword rules"] for row in by_kind], 0.4, label="keyword rules")
    axes.set_yticks(places, names)
    axes.set_xlabel("exact calls")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return made


def _wrong(read: list[Dialogue], exact: list[list[bool]]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for dialogue, rights in zip(read, exact, strict=True):
        calls = [n for n, turn in enumerate(dialogue.turns) if turn.role == "assistant"]
        for place, right in zip(calls, rights, strict=True):
            if not right and len(out) < 12:
                turn, before = dialogue.turns[place], dialogue.turns[place - 1]
                out.append(
                    {
                        "after": before.text or "a tool's result",
                        "expected": f"{turn.name} {turn.arguments}",
                    }
                )
    return out or [{"after": "-", "expected": "none was wrong"}]
