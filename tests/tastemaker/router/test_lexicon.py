import random

from tastemaker.router.lexicon import Lexicon, head_of, odd_word, plural, read_lexicon
from tastemaker.router.phrases import Phrases, make_shelf


def test_nouns_are_categories_and_words_that_name_one(lexicon: Lexicon) -> None:
    assert lexicon.nouns["sofa"] == lexicon.nouns["couches"] == "sofa"
    assert lexicon.nouns["luminaire"] == "lamp"
    assert "red" not in lexicon.nouns


def test_a_phrase_names_the_category_of_its_head(lexicon: Lexicon) -> None:
    assert lexicon.category_of("big red couch for my lamp") == "sofa"
    assert lexicon.category_of("something red") == ""
    assert head_of("sofa in red for two") == ["sofa"]


def test_the_catalogues_own_split_says_what_is_held_out(lexicon: Lexicon) -> None:
    assert lexicon.heldout == {("red", "lamp")}
    assert lexicon.pairs_in("modern lamp in red") == {("modern", "lamp"), ("red", "lamp")}


def test_compositions_are_drawn_where_the_split_holds_out_none(
    rows: list[dict[str, str]],
) -> None:
    trained = [{**row, "split": "train"} for row in rows]
    one = read_lexicon(trained, heldout_frac=0.2)
    assert len(one.heldout) == round(0.2 * len({p for g in one.goods for p in _pairs(g)}))
    assert read_lexicon(trained[::-1], heldout_frac=0.2).heldout == one.heldout


def test_a_catalogue_of_titles_alone_is_enough() -> None:
    bare = [{"title": "A thing", "category": "", "attributes": "{}", "split": "train"}]
    lexicon = read_lexicon(bare, heldout_frac=0.1)
    assert not lexicon.nouns
    phrases = Phrases(make_shelf(lexicon, test=True), random.Random(0), free_frac=0.5, simple=False)
    assert all(phrases.draw()[0] for _ in range(50))


def test_training_phrases_hold_no_held_out_composition(lexicon: Lexicon) -> None:
    rng = random.Random(0)
    for test in (False, True):
        phrases = Phrases(make_shelf(lexicon, test=test), rng, free_frac=0.4, simple=False)
        held = [bool(lexicon.pairs_in(phrases.draw()[0]) & lexicon.heldout) for _ in range(300)]
        assert any(held) == test


def test_plurals() -> None:
    assert [plural(w) for w in ("lamp", "couch", "shelf", "toy", "pony")] == [
        "lamps", "couches", "shelves", "toys", "ponies",
    ]  # fmt: skip
    assert odd_word(random.Random(3), ["oak"]) == odd_word(random.Random(3), ["oak"])


def _pairs(good: object) -> list[tuple[str, str]]:
    return [(value, good.category) for value in good.values.values()]  # type: ignore[attr-defined]
