"""Does a bundle fit what it would be live beside? Spaces, user embeddings, items, features."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from tastemaker.evaluation.gates import Verdict


@dataclass(frozen=True)
class Part:
    """A bundle, as far as others have to fit it.

    Attributes:
        model: encoder, retrieval, recommender or router.
        bundle: Its digest.
        space: The embedding space that it reads; an encoder's own digest.
        users: Sequence bundle whose user embeddings it reads; "" for none.
        items: Ids of the items that it can name; None: it names none by itself.
    """

    model: str
    bundle: str
    space: str
    users: str = ""
    items: frozenset[str] | None = None


def check(
    candidate: Part, beside: Mapping[str, Part], *, held: Collection[str], items: Collection[str]
) -> list[Verdict]:
    """Verdicts on a bundle beside what is live, or promoted in the same set.

    Args:
        candidate: The bundle.
        beside: Every other model.
        held: Spaces that the dataset version holds vectors of.
        items: Ids of the dataset version's items.
    """
    return [
        *_spaces(candidate, beside),
        *_users(candidate, beside),
        *_vectors(candidate, held),
        *_items(candidate, items),
    ]


def features(candidate: Part, live_space: str, live_users: str, *, in_set: bool) -> list[Verdict]:
    """Whether the live features are of the user embeddings that go with a bundle.

    Args:
        candidate: The bundle.
        live_space: Space of the live features' session embeddings; "": no features are live.
        live_users: Sequence bundle of the live features' user embeddings.
        in_set: Its encoder or recommender is promoted with it, and so are features of it.
    """
    if not live_space or in_set:
        return []
    verdicts = [
        _same("features:space", "live session features are in its space", live_space, candidate)
    ]
    if candidate.users:
        rule = "live user features come from the sequence bundle that it reads"
        passed = live_users == candidate.users
        verdicts.append(Verdict("features:users", rule, live_users, candidate.users, passed))
    return verdicts


def _spaces(candidate: Part, beside: Mapping[str, Part]) -> Iterator[Verdict]:
    for model, other in sorted(beside.items()):
        rule = f"{model} {other.bundle} is in the same embedding space"
        yield _same(f"space:{model}", rule, other.space, candidate)


def _users(candidate: Part, beside: Mapping[str, Part]) -> Iterator[Verdict]:
    recommender, router = beside.get("recommender"), beside.get("router")
    if candidate.users and recommender:
        rule = "it reads user embeddings of the recommender beside it"
        passed = candidate.users == recommender.bundle
        yield Verdict("users:recommender", rule, recommender.bundle, candidate.users, passed)
    if candidate.model == "recommender" and router and router.users:
        rule = f"router {router.bundle} reads its user embeddings"
        passed = router.users == candidate.bundle
        yield Verdict("users:router", rule, router.users, candidate.bundle, passed)


def _vectors(candidate: Part, held: Collection[str]) -> Iterator[Verdict]:
    rule = "the dataset version holds vectors of its space"
    found = ", ".join(sorted(held)) or "none"
    yield Verdict("space:dataset", rule, found, candidate.space, candidate.space in held)


def _items(candidate: Part, items: Collection[str]) -> Iterator[Verdict]:
    if candidate.items is None:
        return
    gone = len(candidate.items - set(items))
    rule = "it names no item that curation refused or that is gone from the dataset version"
    yield Verdict("policy:items", rule, float(gone), 0.0, gone == 0)


def _same(name: str, rule: str, found: str, candidate: Part) -> Verdict:
    return Verdict(name, rule, found, candidate.space, found == candidate.space)
