"""Make evaluated bundles live in an environment: all of them or none."""

from tastemaker.core import digests
from tastemaker.core.errors import NotFound, SpaceMismatch
from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.promotion.bundle import load_bundle
from tastemaker.promotion.environment import Live, set_live


def run(
    home: Home,
    dataset: str,
    encoder: str,
    index: str,
    sequence: str,
    router: str,
    environment: str = "local",
) -> str:
    """Check that everything is there and of one space; then write the environment's files.

    Args:
        home: Where everything lives.
        dataset: The dataset version that the servers read.
        encoder: Encoder bundle; its digest is the embedding space.
        index: Index bundle.
        sequence: Sequence bundle.
        router: Router bundle.
        environment: Where the bundles become live.

    Returns:
        Digest of what is live.

    Raises:
        NotFound: A bundle, a report or the vectors are missing.
        SpaceMismatch: A bundle reads another space than the encoder writes.
    """
    load_dataset(home, dataset).vector_column(encoder)
    load_bundle(home, encoder, family="encoder")
    for family, digest in (("index", index), ("sequence", sequence), ("router", router)):
        bundle = load_bundle(home, digest, family=family)
        if bundle.card.reads != (encoder,):
            found = ", ".join(bundle.card.reads)
            raise SpaceMismatch(f"{family} bundle {digest}", expected=found, found=encoder)
    for digest in (encoder, sequence, router):
        if not home.path("evaluations", digest, "metrics.json").is_file():
            raise NotFound(f"bundle {digest} has no evaluation; evaluate it before it is deployed")
    live = {"encoder": encoder, "retrieval": index, "recommender": sequence, "router": router}
    for model, digest in live.items():
        set_live(home, environment, model, Live(bundle=digest, dataset=dataset))
    return digests.of_json([environment, dataset, live])
