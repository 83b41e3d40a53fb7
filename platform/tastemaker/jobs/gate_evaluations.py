"""The cases that the gates compare: of the candidate, and of the live bundle on the same data."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from tastemaker.core.errors import TastemakerError
from tastemaker.core.home import Home
from tastemaker.evaluation import tracking
from tastemaker.evaluation.cases import Cases
from tastemaker.promotion.bundle import Bundle


@dataclass(frozen=True)
class Compared:
    """Cases of both.

    Attributes:
        ours: The candidate's.
        theirs: The live bundle's; None: nothing is live, or nothing is known of it.
        note: What a reviewer has to know of the live bundle's; "" where both were evaluated on
            the same data.
    """

    ours: Cases
    theirs: Cases | None
    note: str = ""


def run(
    home: Home, candidate: Bundle, live: Bundle | None, on: str, metrics: Collection[str]
) -> Compared:
    """Find both evaluations, and make what is missing.

    Args:
        home: Where they are kept.
        candidate: Bundle that is judged.
        live: What it would replace.
        on: Dataset version, of a router: dialogues.
        metrics: That the rules read; an evaluation of older code that lacks one is made anew.
    """
    ours = _evaluate(home, candidate, on, metrics)
    if live is None:
        return Compared(ours, None)
    if live.digest == candidate.digest:
        return Compared(ours, ours)
    try:
        return Compared(ours, _evaluate(home, live, on, metrics))
    except (TastemakerError, ValueError, RuntimeError, OSError) as error:
        # a live bundle may be older than this code or have lost a parent: its own figures count
        return _with_own_figures(home, ours, live, f"{type(error).__name__}: {error}")


def _evaluate(home: Home, bundle: Bundle, on: str, metrics: Collection[str]) -> Cases:
    found = tracking.find(home, bundle.digest, on)
    if found is None or not set(metrics) <= set(found.cases):
        _job(bundle.card.family)(home, on, bundle.digest)
        found = tracking.find(home, bundle.digest, on)
        assert found is not None, "an evaluation keeps what it found"
    return found.cases


def _with_own_figures(home: Home, ours: Cases, live: Bundle, why: str) -> Compared:
    for other in home.names("evaluations", live.digest):
        found = tracking.find(home, live.digest, other)
        if found is not None:
            note = (
                f"The live bundle cannot be evaluated on the same data ({why}); its figures are "
                f"those on {other}, and the comparison is unpaired."
            )
            # other data has other cases, also where their names are the same
            theirs = {m: {f"{other}:{c}": v for c, v in one.items()} for m, one in
                      found.cases.items()}  # fmt: skip
            return Compared(ours, theirs, note)
    return Compared(ours, None, f"The live bundle cannot be evaluated, and never was: {why}")


def _job(family: str) -> Callable[[Home, str, str], str]:
    from tastemaker.jobs import evaluate_encoder, evaluate_index, evaluate_router, evaluate_sequence

    jobs = {
        "encoder": evaluate_encoder.run,
        "index": evaluate_index.run,
        "sequence": evaluate_sequence.run,
        "router": evaluate_router.run,
    }
    return jobs[family]
