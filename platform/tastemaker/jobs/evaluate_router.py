"""Evaluate a router: exact calls on held-out compositions, against keyword rules."""

import json
from collections import defaultdict
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from tastemaker.core.home import Home
from tastemaker.evaluation.cases import Outcomes, mean, outcomes
from tastemaker.evaluation.report import Report, bars, curve, figure
from tastemaker.evaluation.tracking import record
from tastemaker.jobs import dialogue_vectors
from tastemaker.promotion.bundle import load_bundle
from tastemaker.router.batches import Example, encode
from tastemaker.router.dialogue_files import Dialogue, Vectors, open_dialogues
from tastemaker.router.keyword_baseline import KeywordRouter
from tastemaker.router.model import RouterModel, load_model
from tastemaker.router.scoring import Score, score_calls
from tastemaker.router.written import Written, write_call

WRITTEN = 256  # calls that the router writes by itself, evenly over the test dialogues


def run(home: Home, dialogues: str, router: str) -> str:
    """Score every call of the test dialogues, given the true history.

    Args:
        home: Where to.
        dialogues: Digest of the dialogues.
        router: Router bundle; where it reads other spaces than the dialogues hold vectors of,
            their items and users are embedded anew.

    Returns:
        Digest of the metrics.

    Raises:
        NotFound: No such dialogues or bundle.
    """
    bundle = load_bundle(home, router, family="router")
    made = open_dialogues(home.fetch("dialogues", dialogues))
    vectors = dialogue_vectors.run(home, made, bundle)
    model, tokenizer = load_model(bundle.path / "model")
    torch.set_num_threads(bundle.card.config["threads"])
    metrics: dict[str, float] = {}
    cases: dict[str, Outcomes] = {}
    for split in ("val", "test"):
        read = made.read(split)
        examples = encode(read, tokenizer)
        scores = score_calls(model, tokenizer, examples, vectors)
        rules = KeywordRouter(made.meta["nouns"], made.meta["colors"])
        rows = _rows(read, scores, rules)
        cases.update(_cases(rows, split))
        metrics[f"{split}_num_calls"] = len(rows)
    written = _written(model, tokenizer, examples, vectors, rows)
    cases["test_known_tool"] = _of(written, "known_tool")
    cases["test_valid_calls"] = _of(written, "valid")
    metrics.update({name: mean(found) for name, found in cases.items()})
    report = Report(f"Router {router}")
    report.text(
        f"{len(rows)} calls of {len(read)} test dialogues about compositions (an attribute and a "
        "category) that training never names. A call counts when tool and all arguments are "
        "exact, given the true history; the baseline is keyword rules on the same history. Of "
        f"{len(written)} calls that it wrote by itself {metrics['test_known_tool']:.1%} name a "
        f"tool that exists and {metrics['test_valid_calls']:.1%} follow the tool's schema."
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
    bad = [
        {"case": row["case"], "wrote": row["text"][:200], "fault": row["fault"]}
        for row in written
        if row["fault"]
    ]
    if bad:
        report.table("Calls that break their tool's schema", bad[:24])
    return record(
        home,
        bundle_digest=router,
        family="router",
        dataset=dialogues,
        metrics=metrics,
        cases=cases,
        params=bundle.card.config,
        report_html=report.html(),
    )


def _rows(
    read: list[Dialogue], scores: list[list[Score]], rules: KeywordRouter
) -> list[dict[str, Any]]:
    """One row a call; `case` names it: number of the dialogue, then of the call in it."""
    return [
        {
            "case": f"{number}.{call}",
            "kind": turn.kind,
            "tool": turn.name,
            "unseen": turn.unseen,
            "took": score.tool or "no call",
            "model": score.exact,
            "rules": by,
        }
        for number, (dialogue, row) in enumerate(zip(read, scores, strict=True))
        for call, ((turn, by), score) in enumerate(
            zip(_by_rules(dialogue, rules), row, strict=True)
        )
    ]


def _by_rules(dialogue: Dialogue, rules: KeywordRouter) -> list[tuple[Any, bool]]:
    out = []
    for place, turn in enumerate(dialogue.turns):
        if turn.role == "assistant":
            name, arguments = rules.call(dialogue.turns[:place])
            out.append((turn, name == turn.name and arguments == (turn.arguments or {})))
    return out


def _cases(found: list[dict[str, Any]], split: str) -> dict[str, Outcomes]:
    parts = {
        "exact_calls": found,
        "exact_tool_calls": [row for row in found if row["tool"] != "answer"],
        "unseen_wordings": [row for row in found if row["unseen"]],
    }
    for tool in sorted({row["tool"] for row in found}):
        parts[f"exact_{tool}"] = [row for row in found if row["tool"] == tool]
    return {
        f"{split}_{name}{suffix}": _of(part, method)
        for name, part in parts.items()
        for method, suffix in (("model", ""), ("rules", "_rules"))
        if part
    }


def _of(rows: list[dict[str, Any]], column: str) -> dict[str, float]:
    return outcomes([row["case"] for row in rows], np.array([row[column] for row in rows]))


def _written(
    model: RouterModel,
    tokenizer: PreTrainedTokenizerFast,
    examples: list[Example],
    vectors: Vectors,
    rows: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    """What the router writes by itself: an exact call is known, the others are decoded."""
    step = max(1, -(-len(rows) // WRITTEN))
    out = []
    for row in rows[::step]:
        wrote = Written("", known_tool=True, fault="")
        if not row["model"]:
            number, _, call = row["case"].partition(".")
            wrote = write_call(model, tokenizer, examples[int(number)], int(call), vectors)
        out.append({**row, **asdict(wrote), "valid": not wrote.fault})
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
