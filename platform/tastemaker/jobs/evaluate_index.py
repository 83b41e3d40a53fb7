"""Evaluate an index: recall of its search against exact search over the same vectors."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.evaluation.cases import Outcomes, mean, outcomes
from tastemaker.evaluation.index import recall
from tastemaker.evaluation.report import Report, bars
from tastemaker.evaluation.tracking import record
from tastemaker.promotion.bundle import load_bundle
from tastemaker.retrieval.index import ItemIndex, Query

K = 10
MAX_QUERIES = 500


def run(home: Home, dataset: str, index: str) -> str:
    """Ask for the neighbours of items of a dataset version, with and without a filter.

    Args:
        home: Where to.
        dataset: Dataset version whose items are asked about.
        index: Index bundle; it brings its vectors along.

    Returns:
        Digest of the metrics.

    Raises:
        NotFound: No such dataset version or index.
    """
    bundle = load_bundle(home, index, family="index")
    data = load_dataset(home, dataset)
    found = ItemIndex(bundle.path)
    asked = _asked(found, data.read("items", ["item_id"])["item_id"].to_pylist())
    cases = {f"recall@{K}": _recalls(found, asked, filtered=False)}
    cases[f"recall@{K}_filtered"] = _recalls(found, asked, filtered=True)
    metrics = {name: mean(one) for name, one in cases.items()}
    metrics |= {"num_items": float(len(found)), "num_queries": float(len(asked))}
    return record(
        home,
        bundle_digest=index,
        family="index",
        dataset=dataset,
        metrics=metrics,
        cases=cases,
        params=bundle.card.config,
        report_html=_report(index, data.name, found, cases).html(),
    )


def _asked(index: ItemIndex, items: list[str]) -> list[str]:
    known = [item for item in items if item in index.row_of]
    step = max(1, -(-len(known) // MAX_QUERIES))
    return known[::step]


def _recalls(index: ItemIndex, asked: list[str], *, filtered: bool) -> dict[str, float]:
    values = []
    for item in asked:
        row = index.row_of[item]
        category = str(index.categories_N[row]) if filtered else None
        hits = index.search(Query(like=[item], category=category, k=K), space=index.space)
        scores_N = index.vectors_ND.astype(np.float32) @ index.vector(item)
        could = np.ones(len(index), bool)
        if filtered:
            could = index.categories_N == category
        could[row] = False
        values.append(recall(np.array([hit.score for hit in hits]), scores_N[could], K))
    return outcomes(asked, np.array(values))


def _report(index: str, catalogue: str, found: ItemIndex, cases: Mapping[str, Outcomes]) -> Report:
    how = "by a graph" if found.graph is not None else "exactly"
    report = Report(f"Index {index}")
    asked = len(next(iter(cases.values())))
    report.text(
        f"{len(found)} items of {catalogue}, searched {how}; neighbours of {asked} items, against "
        "exact search over the same vectors."
    )
    report.plot(
        "Recall against exact search", bars({n: mean(c) for n, c in cases.items()}, "share")
    )
    kinds = Counter(found.categories_N.tolist()).most_common(12)
    report.table("Items by category", [{"category": k, "items": n} for k, n in kinds])
    return report
