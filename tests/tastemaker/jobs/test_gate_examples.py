from tastemaker.jobs.gate_examples import Lost, worst

OURS = {"hr": {"a": 0.0, "b": 1.0, "c": 0.4, "d": 0.0}, "mrr": {"a": 1.0}}
THEIRS = {"hr": {"a": 1.0, "b": 0.0, "c": 0.5, "d": 0.0}, "mrr": {"a": 1.0}}


def test_what_lost_most_comes_first_and_what_gained_is_no_loss() -> None:
    found = worst(OURS, THEIRS, ["hr", "mrr", "absent"])
    assert found == [Lost("hr", "a", 0.0, 1.0), Lost("hr", "c", 0.4, 0.5)]


def test_without_a_live_bundle_what_went_wrong_is_shown() -> None:
    found = worst(OURS, None, ["hr"])
    assert [(one.case, one.theirs) for one in found] == [("a", None), ("d", None), ("c", None)]


def test_a_page_stays_readable() -> None:
    many = {f"m{n}": {f"c{k}": 0.0 for k in range(100)} for n in range(9)}
    assert len(worst(many, None, list(many))) == 16
