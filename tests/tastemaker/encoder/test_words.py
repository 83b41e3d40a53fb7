from tastemaker.encoder.words import Vocabulary, letter_grams, split_words


def test_words_are_folded() -> None:
    assert split_words("Crème-coloured SOFA, 2.5 seats") == [
        "creme",
        "coloured",
        "sofa",
        "2",
        "5",
        "seats",
    ]
    assert split_words(" ,. ") == []
    assert split_words("лампа 灯") == ["лампа", "灯"]


def test_plurals_share_most_letter_grams() -> None:
    one, many, other = (set(letter_grams(w, 1 << 20)) for w in ("cushion", "cushions", "mirror"))
    assert len(one & many) > len(one) * 0.7
    assert not one & other


def test_encoding_by_hand() -> None:
    vocabulary = Vocabulary.build(["red lamp", "red sofa"], buckets=512, min_count=2, max_words=2)
    assert vocabulary.words == ("red",)
    batch = vocabulary.encode([["red", "boat", "cut"], [], ["red"]])
    assert batch.words_W.tolist() == [1, 0, 1]
    assert batch.starts_B.tolist() == [0, 2, 2]
    assert len(batch.gram_starts_W) == 3
    assert batch.gram_starts_W[1] == len(letter_grams("red", 512))
