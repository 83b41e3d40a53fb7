from dataclasses import dataclass

from tastemaker.assistant.tools.breaker import Breakers


@dataclass
class Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_it_opens_after_failures_in_a_row_and_closes_after_one_success() -> None:
    clock = Clock()
    breakers = Breakers(failures=2, rest_s=10.0, clock=clock)
    for well in (False, True, False):
        assert breakers.begin("a") == 0
        breakers.end("a", well=well)
    assert breakers.resting_s("a") == 0  # the success in between counts
    breakers.end("a", well=False)
    assert breakers.resting_s("a") == 10
    assert breakers.resting_s("b") == 0
    clock.now_s = 11
    assert breakers.begin("a") == 0
    breakers.end("a", well=True)
    assert breakers.begin("a") == breakers.begin("a") == 0


def test_after_a_rest_one_call_tries_and_a_failure_rests_again() -> None:
    clock = Clock()
    breakers = Breakers(failures=1, rest_s=10.0, clock=clock)
    breakers.end("a", well=False)
    clock.now_s = 11
    assert breakers.begin("a") == 0
    assert breakers.begin("a") > 0  # somebody is trying already
    breakers.end("a", well=False)
    assert breakers.begin("a") == 10
    clock.now_s = 22
    assert breakers.begin("a") == 0
    breakers.end("a", well=None)  # the client left: the next one may try
    assert breakers.begin("a") == 0
