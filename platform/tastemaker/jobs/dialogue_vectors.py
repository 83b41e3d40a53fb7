"""The vectors of dialogues in the spaces that a router reads, so that two routers compare."""

from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.jobs import precompute_embeddings
from tastemaker.jobs.embedding_config import EmbeddingsConfig
from tastemaker.promotion.bundle import Bundle, load_bundle
from tastemaker.router.dialogue_files import DialogueSet, Vectors
from tastemaker.sequence.histories import histories
from tastemaker.sequence.recommender import load_sequence
from tastemaker.sequence.shop import Shop


def run(home: Home, made: DialogueSet, router: Bundle) -> Vectors:
    """Item and user vectors of dialogues as a router reads them.

    Args:
        home: Where everything lives.
        made: Dialogues; they hold the vectors of the spaces that they were made with.
        router: Router bundle. Where it reads other spaces, the dialogues' items go through its
            encoder and their users through its sequence bundle.

    Raises:
        NotFound: Its encoder, its sequence bundle or the dialogues' dataset version is gone.
    """
    parents = made.meta["parents"]
    encoder, sequence = router.card.reads[0], router.card.parents["sequence"]
    if (encoder, sequence) == (parents["encoder"], parents["sequence"]):
        return made.vectors
    dataset = precompute_embeddings.run(home, parents["dataset"], encoder, EmbeddingsConfig())
    data = load_dataset(home, dataset)
    column = data.vector_column(encoder)
    items = data.read("items", ["item_id", column])
    bundle = load_bundle(home, sequence, family="sequence")
    bundle.check_space(encoder)
    shop = Shop(load_sequence(bundle.path), items["item_id"].to_pylist())
    users = [shop.read(user) for user in histories(data.read("events"), shop.item_ids)]
    return Vectors(
        items_ND=precompute_embeddings.column_matrix(items[column]),
        users_UD=shop.recommender.user_embeddings(users),
    )
