"""Make the router's dialogues from a catalogue, its boards and its users."""

from collections import defaultdict

import numpy as np

from tastemaker.core import digests
from tastemaker.core.home import Home
from tastemaker.core.progress import track
from tastemaker.data.dataset import load_dataset
from tastemaker.promotion.bundle import load_bundle
from tastemaker.router.config import DialoguesConfig
from tastemaker.router.dialogue_files import SPLITS, Vectors, write_dialogues, write_shared
from tastemaker.router.dialogues import make_dialogue, nearest
from tastemaker.router.draft import Stock
from tastemaker.router.lexicon import read_lexicon
from tastemaker.router.phrases import make_shelf
from tastemaker.router.vocabulary import item_texts, vocabulary
from tastemaker.sequence.histories import histories
from tastemaker.sequence.recommender import load_sequence

_NEIGHBOURS = 40


def run(home: Home, dataset: str, encoder: str, sequence: str, settings: DialoguesConfig) -> str:
    """Write train, val and test dialogues with the vectors that they refer to.

    Args:
        home: Where everything lives.
        dataset: A dataset version with vectors of `encoder`, boards and events.
        encoder: Encoder bundle: the space of the item tokens.
        sequence: Sequence bundle: gives the user tokens.
        settings: How many, and of what.

    Returns:
        Digest of the dialogues' folder.

    Raises:
        NotFound: The dataset version holds no vectors of that space.
        SpaceMismatch: The sequence bundle reads another space.
    """
    data = load_dataset(home, dataset)
    column = data.vector_column(encoder)
    bundle = load_bundle(home, sequence, family="sequence")
    bundle.check_space(encoder)
    rows = data.read("items", ["item_id", "title", "category", "attributes", "split"]).to_pylist()
    stacked = data.read("items", [column])[column].to_numpy(zero_copy_only=False)
    items_ND = np.stack(stacked).astype(np.float32)
    recommender = load_sequence(bundle.path)
    users = histories(data.read("events"), [row["item_id"] for row in rows])
    users_UD = recommender.user_embeddings(users)
    place = {row["item_id"]: n for n, row in enumerate(rows)}
    boards: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    for board in data.read("boards").to_pylist():
        kept = tuple(place[item] for item in board["items"] if item in place)
        boards[board["split"]].append(kept)
    lexicon = read_lexicon(rows, heldout_frac=settings.heldout_frac)
    stock = Stock(
        shelves=(make_shelf(lexicon, test=False), make_shelf(lexicon, test=True)),
        near_NK=nearest(items_ND, min(_NEIGHBOURS, len(items_ND))),
        boards=dict(boards),
        num_users=len(users_UD),
    )
    meta = {
        "parents": {"dataset": dataset, "encoder": encoder, "sequence": sequence},
        "config": settings.model_dump(mode="json"),
        "vocabulary": vocabulary(lexicon),
        "item_texts": list(item_texts(lexicon)),
        "nouns": dict(lexicon.nouns),
        "colors": list(lexicon.colors),
    }
    sizes = {"train": settings.train, "val": settings.val, "test": settings.test}
    with home.staging() as staging:
        folder = staging / "dialogues"
        folder.mkdir()
        for split in SPLITS:
            made = (make_dialogue(stock, settings, split, n) for n in range(sizes[split]))
            write_dialogues(folder, split, track(made, f"{split} dialogues", sizes[split]))
        write_shared(folder, Vectors(items_ND, users_UD), meta)
        digest = digests.of_folder(folder)
        home.publish(folder, "dialogues", digest)
    return digest
