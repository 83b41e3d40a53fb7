"""Job: an encoder against baselines on what it never trained on; report, MLflow, registration.

Shape suffixes: N = items, Q = queries, D = width of a space.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tastemaker.core.home import Home
from tastemaker.data import records
from tastemaker.data.dataset import Dataset, load_dataset
from tastemaker.encoder.model import Encoder, item_text
from tastemaker.encoder.storage import load_encoder
from tastemaker.evaluation import encoder as baselines
from tastemaker.evaluation import report, tracking
from tastemaker.evaluation import retrieval_metrics as metrics
from tastemaker.evaluation.cases import Outcomes, mean, outcomes
from tastemaker.promotion.bundle import load_bundle
from tastemaker.retrieval.boards import BoardModel, board_contents, co_occurrence

CUTS = (1, 5, 10)
NEIGHBOURS = 5  # that vote for an attribute
CUT = 3  # of attribute queries: items looked at, and that must exist
MAX_QUERIES = 2_000
EXAMPLES, SHOWN = 6, 8  # rows and pictures a row of the example grids
WORDS = "TF-IDF of the items' text"
HANDMADE = "hand-made features, ridge to TF-IDF/SVD titles"
VOTED = 100  # an attribute with more values is not voted for


@dataclass(frozen=True)
class Measured:
    """Cases of a metric as the encoder does them, and as a baseline does."""

    metric: str
    ours: Outcomes
    theirs: Outcomes
    against: str  # what the baseline is

    @property
    def encoder(self) -> float:
        """The encoder's figure."""
        return mean(self.ours)

    @property
    def baseline(self) -> float:
        """The baseline's figure."""
        return mean(self.theirs)

    def row(self) -> dict[str, Any]:
        """As a report shows it."""
        figures = {"encoder": self.encoder, "baseline": self.baseline}
        return {"metric": self.metric, **figures, "against": self.against}


@dataclass(frozen=True)
class Vectors:
    """All items in the encoder's space and in the baselines' spaces, in the table's order."""

    image_ND: np.ndarray
    item_ND: np.ndarray
    handmade_features_NF: np.ndarray  # standardised, unit norm
    handmade_ND: np.ndarray  # the same, carried to titles
    title_ND: np.ndarray
    text_NF: Any  # TF-IDF of title and text, sparse
    words: Any  # its vectoriser


def run(home: Home, dataset: str, encoder: str) -> str:
    """Evaluate an encoder on the test split of items and boards.

    Args:
        home: Where to.
        dataset: Digest of the dataset version.
        encoder: Digest of the encoder bundle.

    Returns:
        Digest of the metrics.

    Raises:
        NotFound: No such dataset version or encoder.
    """
    data = load_dataset(home, dataset)
    bundle = load_bundle(home, encoder, family="encoder")
    model = load_encoder(bundle.path)
    items = Items.read(data)
    vectors = embed(model, items)
    page = report.Report(f"Encoder {bundle.digest} on {data.name}")
    rows = [
        *text_to_image(model, items, vectors),
        *attribute_queries(model, items, vectors),
        *attributes_by_neighbours(items, vectors),
        *board_completion(data, items, vectors),
    ]
    page.table("Held-out metrics, each beside its baseline", [row.row() for row in rows])
    page.table("Dataset", [{"dataset": dataset, **Counter(items.split_N.tolist())}])
    _add_pictures(page, model, items, vectors)
    history = json.loads((bundle.path / "history.json").read_text())
    page.plot("Training loss", report.curve([step["loss"] for step in history], "nats"))
    return tracking.record(
        home,
        bundle_digest=bundle.digest,
        family="encoder",
        dataset=dataset,
        metrics=named_metrics(rows),
        cases=named_cases(rows),
        params=bundle.card.config,
        report_html=page.html(),
    )


@dataclass(frozen=True)
class Items:
    """The items table as columns."""

    ids: list[str]
    images: list[bytes]
    titles: list[str]
    texts: list[str]
    values: list[dict[str, str]]  # attributes, the category among them
    split_N: np.ndarray

    @classmethod
    def read(cls, data: Dataset) -> "Items":
        """Read all items of a dataset version."""
        columns = ["item_id", "image", "title", "text", "category", "attributes", "split"]
        table = data.read("items", columns).to_pydict()
        values = [
            {"category": category, **records.attributes(text)}
            for category, text in zip(table["category"], table["attributes"], strict=True)
        ]
        return cls(
            table["item_id"],
            table["image"],
            table["title"],
            [item_text(*pair) for pair in zip(table["title"], table["text"], strict=True)],
            values,
            np.array(table["split"]),
        )

    def rows(self, split: str) -> np.ndarray:
        """Places of a split's items; all items where the split is empty (tiny catalogues)."""
        rows = np.flatnonzero(self.split_N == split)
        return rows if len(rows) else np.arange(len(self.ids))


def embed(model: Encoder, items: Items) -> Vectors:
    """All items through the encoder and through the baselines, which learn from train alone."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    train_N = items.split_N == "train"
    train_titles = [title for title, known in zip(items.titles, train_N, strict=True) if known]
    space = baselines.TitleSpace.fit(train_titles)
    handmade = baselines.handmade_features(items.images)
    words = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+")
    text_NF = words.fit_transform(items.texts)
    return Vectors(
        model.embed_image(items.images),
        model.embed_items(items.images, items.texts),
        baselines.standardised(handmade, train_N),
        baselines.ridge_to_titles(handmade, train_N, space.embed(train_titles)),
        space.embed(items.titles),
        text_NF,
        words,
    )


def text_to_image(model: Encoder, items: Items, vectors: Vectors) -> list[Measured]:
    """Distinct test titles find their pictures, among the test items and among all; and back."""
    test = items.rows("test")
    first: dict[str, int] = {}
    for row in test:
        first.setdefault(items.titles[row], int(row))
    queries = list(first)[:MAX_QUERIES]
    relevant_QN = np.array(queries)[:, None] == np.array(items.titles)[None, :]
    query_QD = model.embed_text(queries)
    image_QN = query_QD @ vectors.image_ND.T
    item_QN = query_QD @ vectors.item_ND.T
    handmade_QN = vectors.title_ND[[first[title] for title in queries]] @ vectors.handmade_ND.T
    # an item's own text holds the title that is asked for: only words are a fair baseline there
    words_QN = (vectors.words.transform(queries) @ vectors.text_NF.T).toarray()
    shown = relevant_QN[:, test].any(0)  # all of them, unless there are too many queries
    relevant_QT = relevant_QN[:, test]
    image_QT, handmade_QT = image_QN[:, test], handmade_QN[:, test]
    asked = [items.ids[first[title]] for title in queries]
    pictures = [items.ids[row] for row in test[shown]]
    back = (image_QT.T[shown], handmade_QT.T[shown], relevant_QT.T[shown])
    return [
        *_recalls("text_to_image_all", asked, image_QN, handmade_QN, relevant_QN),
        *_recalls("text_to_item_all", asked, item_QN, words_QN, relevant_QN, WORDS),
        *_recalls("text_to_image_test", asked, image_QT, handmade_QT, relevant_QT),
        *_recalls("image_to_text_test", pictures, *back),
    ]


def attribute_queries(model: Encoder, items: Items, vectors: Vectors) -> list[Measured]:
    """Queries of two attributes, "blue sofa", over unseen items; the baseline reads their text."""
    test = items.rows("test")
    pairs = [(items.values[row].get("color", ""), items.values[row]["category"]) for row in test]
    counts = Counter(pair for pair in pairs if all(pair))
    queries = sorted(pair for pair, count in counts.items() if count >= CUT)[:MAX_QUERIES]
    if not queries:
        return []
    relevant_QN = np.array([[pair == query for pair in pairs] for query in queries])
    texts = [" ".join(query) for query in queries]
    words_QN = (vectors.words.transform(texts) @ vectors.text_NF[test].T).toarray()
    scores_QN = model.embed_text(texts) @ vectors.item_ND[test].T
    return [
        Measured(
            f"color_category_query_p@{CUT}",
            outcomes(texts, metrics.precisions_at(scores_QN, relevant_QN, CUT)),
            outcomes(texts, metrics.precisions_at(words_QN, relevant_QN, CUT)),
            WORDS,
        )
    ]


def attributes_by_neighbours(items: Items, vectors: Vectors) -> list[Measured]:
    """Attributes of test pictures, voted by their nearest training pictures."""
    rows = []
    for key in sorted({key for values in items.values for key in values}):
        names_N = np.array([values.get(key, "") for values in items.values])
        train = np.flatnonzero((items.split_N == "train") & (names_N != ""))
        test = [row for row in items.rows("test") if names_N[row]]
        if not len(train) or not test or not 2 <= len(set(names_N[train])) <= VOTED:
            continue
        ids = [items.ids[row] for row in test]
        mine, other = (
            outcomes(
                ids, metrics.knn_hits(x[train], names_N[train], x[test], names_N[test], NEIGHBOURS)
            )
            for x in (vectors.image_ND, vectors.handmade_ND)
        )
        rows.append(Measured(f"knn_{key}_accuracy", mine, other, HANDMADE))
    return rows


def board_completion(data: Dataset, items: Items, vectors: Vectors) -> list[Measured]:
    """Each item of each test board is hidden in turn, and found again from the others."""
    row_of = {item: row for row, item in enumerate(items.ids)}
    boards: dict[str, list[list[int]]] = {"train": [], "val": [], "test": []}
    cases = []
    for board in data.read("boards").to_pylist():
        boards[board["split"]].append([row_of[item] for item in board["items"]])
        if board["split"] == "test" and len(board["items"]) > 1:
            cases += [f"{board['board_id']}/{item}" for item in board["items"]]
    known = boards["train"] + boards["val"]
    if not known or not boards["test"]:
        return []
    graph_NN = co_occurrence(known, len(items.ids))
    text_NF = vectors.text_NF
    cold_N = graph_NN.sum(1) == 0
    colors = [values.get("color", "") for values in items.values]
    model = BoardModel.fit(known, board_contents(vectors.item_ND, items.titles, colors))
    ranks, cold = hidden_ranks(model.scores, boards["test"], cold_N)
    rows = []
    for against, scorer in (
        ("co-occurrence on known boards", lambda given: graph_NN[given].sum(0)),
        (
            WORDS,
            lambda given: text_NF @ np.asarray(text_NF[given].sum(0)).ravel(),
        ),
    ):
        other, _ = hidden_ranks(scorer, boards["test"], cold_N)
        figures = {
            "board_completion_r@10": (metrics.hits_at(ranks, 10), metrics.hits_at(other, 10)),
            "board_completion_mrr": (
                metrics.reciprocal_ranks(ranks),
                metrics.reciprocal_ranks(other),
            ),
        }
        rows += [
            Measured(name, outcomes(cases, mine), outcomes(cases, others), against)
            for name, (mine, others) in figures.items()
        ]
        if cold.any():
            some = [case for case, new in zip(cases, cold, strict=True) if new]
            ours, theirs = (
                outcomes(some, metrics.hits_at(found[cold], 10)) for found in (ranks, other)
            )
            rows.append(Measured("board_completion_cold_r@10", ours, theirs, against))
    return rows


def hidden_ranks(
    scorer: Callable[[list[int]], np.ndarray],
    boards: Sequence[Sequence[int]],
    cold_N: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Hide each item of each board in turn and rank it among all that are not given.

    Args:
        scorer: From the given items to a score of every item.
        boards: Item numbers of each board; a board of one item gives no case.
        cold_N: Bool: items on no board that the scorer knows.

    Returns:
        Ranks of the hidden items, 0 = first, ties half; and whether each was cold.
    """
    ranks, cold = [], []
    for board in boards:
        for hidden in board if len(board) > 1 else ():
            scores_N = np.array(scorer([item for item in board if item != hidden]), np.float64)
            own = scores_N[hidden]
            scores_N[list(board)] = -np.inf
            ranks.append((scores_N > own).sum() + 0.5 * (scores_N == own).sum())
            cold.append(cold_N[hidden])
    return np.array(ranks), np.array(cold, bool)


def named_metrics(rows: Sequence[Measured]) -> dict[str, float]:
    """Metrics by name, with the strongest baseline of each as `<name>_baseline`."""
    return {name: mean(cases) for name, cases in named_cases(rows).items()}


def named_cases(rows: Sequence[Measured]) -> dict[str, Outcomes]:
    """The cases of `named_metrics`."""
    found: dict[str, Outcomes] = {}
    for row in rows:
        found[row.metric] = row.ours
        name = f"{row.metric}_baseline"
        if name not in found or row.baseline > mean(found[name]):
            found[name] = row.theirs
    return found


def _recalls(
    name: str,
    ids: Sequence[str],
    scores_QN: np.ndarray,
    baseline_QN: np.ndarray,
    relevant_QN: np.ndarray,
    against: str = HANDMADE,
) -> list[Measured]:
    mine = metrics.first_hit_ranks(scores_QN, relevant_QN)
    other = metrics.first_hit_ranks(baseline_QN, relevant_QN)
    return [
        Measured(
            f"{name}_r@{k}",
            outcomes(ids, metrics.hits_at(mine, k)),
            outcomes(ids, metrics.hits_at(other, k)),
            against,
        )
        for k in CUTS
    ]


def _add_pictures(page: report.Report, model: Encoder, items: Items, vectors: Vectors) -> None:
    """Example grids: queries with what they find, and test pictures with their neighbours."""
    test = items.rows("test")
    pairs = Counter(
        (items.values[row].get("color", ""), items.values[row]["category"]) for row in test
    )
    queries = [" ".join(pair).strip() for pair, _ in pairs.most_common(EXAMPLES)]
    found_QN = model.embed_text(queries) @ vectors.item_ND.T
    page.images("Queries, and the nearest items of the catalogue", _grid(queries, found_QN, items))
    chosen = test[:: max(1, len(test) // EXAMPLES)][:EXAMPLES]
    labels = [items.titles[row] for row in chosen]
    near_QN = vectors.image_ND[chosen] @ vectors.image_ND.T
    page.images("Test pictures (first), and their nearest pictures", _grid(labels, near_QN, items))


def _grid(
    labels: Sequence[str], scores_QN: np.ndarray, items: Items
) -> list[tuple[str, list[bytes]]]:
    best_QK = np.argsort(-scores_QN, axis=1, kind="stable")[:, :SHOWN]
    return [
        (label, [items.images[row] for row in rows])
        for label, rows in zip(labels, best_QK, strict=True)
    ]
