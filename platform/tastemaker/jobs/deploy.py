"""Make evaluated bundles live in an environment: all of them or none."""

from tastemaker.core import digests
from tastemaker.core.errors import NotFound, SpaceMismatch
from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.promotion.bundle import Bundle, load_bundle
from tastemaker.promotion.environment import Live, switch


def run(
    home: Home,
    dataset: str,
    encoder: str,
    index: str,
    sequence: str,
    router: str,
    environment: str = "local",
) -> str:
    """Check that everything is there and of one space; then write the environment's model files.

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
        SpaceMismatch: A bundle reads another space than the encoder writes, or the router's
            user tokens come from another sequence bundle.
    """
    load_dataset(home, dataset).vector_column(encoder)
    load_bundle(home, encoder, family="encoder")
    for family, digest in (("index", index), ("sequence", sequence), ("router", router)):
        _check(load_bundle(home, digest, family=family), encoder, sequence)
    for digest in (encoder, sequence, router):
        if not home.holds("evaluations", digest, "metrics.json"):
            raise NotFound(f"bundle {digest} has no evaluation; evaluate it before it is deployed")
    bundles = {"encoder": encoder, "retrieval": index, "recommender": sequence, "router": router}
    live = {model: Live(digest, dataset, space=encoder) for model, digest in bundles.items()}
    switch(home, environment, live)
    return digests.of_json([environment, dataset, bundles])


def _check(bundle: Bundle, encoder: str, sequence: str) -> None:
    what = f"{bundle.card.family} bundle {bundle.digest}"
    if bundle.card.reads != (encoder,):
        expected = ", ".join(bundle.card.reads) or "(none)"
        raise SpaceMismatch(what, expected=expected, found=encoder)
    users = bundle.card.parents.get("sequence", sequence)
    if users != sequence:  # user embeddings of two sequence bundles do not mix either
        raise SpaceMismatch(f"{what} (its user token)", expected=users, found=sequence)
