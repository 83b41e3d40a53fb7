"""Make a whole set of judged bundles live in an environment by one commit: all or none."""

from collections.abc import Mapping, Sequence

from tastemaker.core import digests
from tastemaker.core.errors import SpaceMismatch
from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.promotion import checkout
from tastemaker.promotion.bundle import Bundle, load_bundle
from tastemaker.promotion.model_file import Live
from tastemaker.promotion.promote import promote_set


def run(
    home: Home,
    dataset: str,
    encoder: str,
    index: str,
    sequence: str,
    router: str,
    evidence: Sequence[str],
    environment: str = "local",
    run_name: str = "",
) -> str:
    """Check that everything is there and of one space; then promote all four models.

    Where all of it is live already, nothing is committed.

    Args:
        home: Where everything lives.
        dataset: The dataset version that the servers read.
        encoder: Encoder bundle; its digest is the embedding space.
        index: Index bundle.
        sequence: Sequence bundle.
        router: Router bundle.
        evidence: Digest of the evidence of each bundle that is not live yet.
        environment: Where the bundles become live.
        run_name: The run that made them, for the commit's message.

    Returns:
        Digest of what is live.

    Raises:
        NotFound: A bundle, its evidence or the vectors are missing.
        SpaceMismatch: A bundle reads another space than the encoder writes, or the router's
            user tokens come from another sequence bundle.
        EvidenceError: Evidence that does not prove this promotion.
        PromotionError: A rule, or somebody else's promotion, is against it.
        GitError: The repository refused or did not answer.
    """
    load_dataset(home, dataset).vector_column(encoder)
    load_bundle(home, encoder, family="encoder")
    for family, digest in (("index", index), ("sequence", sequence), ("router", router)):
        _check(load_bundle(home, digest, family=family), encoder, sequence)
    bundles = {"encoder": encoder, "retrieval": index, "recommender": sequence, "router": router}
    why = f"Made by the pipeline run {run_name}" if run_name else ""
    promote_set(home, environment, as_set(bundles, dataset), evidence, why)
    checkout.update(home)
    return digests.of_json([environment, dataset, bundles])


def as_set(bundles: Mapping[str, str], dataset: str) -> dict[str, Live]:
    """Bundles of one space as what is to be live.

    Args:
        bundles: Digests by model; the encoder's is the space.
        dataset: The version that they serve over.
    """
    return {model: Live(one, dataset, bundles["encoder"]) for model, one in bundles.items()}


def _check(bundle: Bundle, encoder: str, sequence: str) -> None:
    what = f"{bundle.card.family} bundle {bundle.digest}"
    if bundle.card.reads != (encoder,):
        expected = ", ".join(bundle.card.reads) or "(none)"
        raise SpaceMismatch(what, expected=expected, found=encoder)
    users = bundle.card.parents.get("sequence", sequence)
    if users != sequence:  # user embeddings of two sequence bundles do not mix either
        raise SpaceMismatch(f"{what} (its user token)", expected=users, found=sequence)
