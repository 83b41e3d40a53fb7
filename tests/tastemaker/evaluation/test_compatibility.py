from dataclasses import replace

import pytest

from tastemaker.evaluation.compatibility import Part, check, features

SPACE, ITEMS = "e1", frozenset({"a", "b"})
SET = {
    "encoder": Part("encoder", SPACE, SPACE),
    "retrieval": Part("retrieval", "i1", SPACE, items=ITEMS),
    "recommender": Part("recommender", "s1", SPACE, items=ITEMS),
    "router": Part("router", "r1", SPACE, users="s1"),
}


def failed(candidate: Part, **held: object) -> set[str]:
    beside = {model: part for model, part in SET.items() if model != candidate.model}
    words = {"held": {SPACE}, "items": ITEMS, **held}
    return {one.name for one in check(candidate, beside, **words) if not one.passed}  # type: ignore[arg-type]


@pytest.mark.parametrize("model", SET)
def test_a_set_of_one_space_fits_and_another_space_does_not(model: str) -> None:
    assert not failed(SET[model])
    other = failed(replace(SET[model], space="e2"))
    assert other == {f"space:{one}" for one in SET if one != model} | {"space:dataset"}


def test_user_embeddings_of_two_bundles_do_not_mix() -> None:
    assert failed(replace(SET["router"], users="s2")) == {"users:recommender"}
    assert failed(replace(SET["recommender"], bundle="s2")) == {"users:router"}


def test_nothing_that_curation_refused_is_named() -> None:
    assert failed(SET["retrieval"], items={"a"}) == {"policy:items"}
    assert failed(SET["recommender"], items={"a"}) == {"policy:items"}
    assert not failed(SET["router"], items={"a"})


def test_live_features_have_to_be_of_the_users_that_are_read() -> None:
    def names(space: str, users: str, *, in_set: bool = False) -> set[str]:
        found = features(SET["router"], space, users, in_set=in_set)
        return {one.name for one in found if not one.passed}

    assert not names(SPACE, "s1")
    assert names(SPACE, "s0") == {"features:users"}
    assert names("e0", "s0") == {"features:space", "features:users"}
    assert not names("e0", "s0", in_set=True)
    assert not names("", "")
