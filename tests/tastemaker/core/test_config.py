from typing import Self

import pytest
from pydantic import Field, model_validator

from tastemaker.core.config import Config, from_settings, parse, to_settings
from tastemaker.core.errors import ConfigError


class Inner(Config):
    width: int = Field(default=8, gt=0)


class Outer(Config):
    inner: Inner = Inner()
    rate: float = 0.5


def test_settings_survive_the_round_trip() -> None:
    outer = Outer(inner=Inner(width=3), rate=0.25)
    assert from_settings(Outer, to_settings(outer), family="x") == outer


def test_equal_settings_give_equal_text() -> None:
    assert to_settings(Outer(rate=0.5)) == to_settings(Outer())
    assert to_settings(Outer(rate=0.6)) != to_settings(Outer())


def test_a_rule_on_a_group_is_told_without_the_groups_values() -> None:
    class Account(Config):
        name: str
        password: str

        @model_validator(mode="after")
        def _named(self) -> Self:
            if not self.name.islower():
                raise ValueError(f"name {self.name!r}: in lower case")
            return self

    class Accounts(Config):
        accounts: tuple[Account, ...]

    wrong = {"name": "Ada", "password": "secret"}
    cases = ((Account, wrong, "test"), (Accounts, {"accounts": [wrong]}, "test: accounts.0"))
    for kind, values, place in cases:
        with pytest.raises(ConfigError) as caught:
            parse(kind, values, where="test")
        assert str(caught.value) == f"{place}: name 'Ada': in lower case"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"inner": {"widht": 3}}, "unknown key 'inner.widht'; did you mean 'width'"),
        ({"inner": {"width": 0}}, "inner.width=0: Input should be greater than 0"),
        ({"colour": 1}, "unknown key 'colour'; known keys: inner, rate"),
    ],
)
def test_faults_name_the_key_the_value_and_the_rule(values: dict, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(Outer, values, where="test")
    assert message in str(caught.value)


def test_settings_that_are_not_json_are_refused() -> None:
    with pytest.raises(ConfigError, match="not JSON"):
        from_settings(Outer, "{", family="x")
