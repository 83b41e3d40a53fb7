import pytest

from tastemaker.assistant.providers.settings import ProvidersConfig
from tastemaker.core.config import parse
from tastemaker.core.errors import ConfigError


def test_a_password_in_a_providers_address_is_refused_and_not_repeated() -> None:
    member = {"name": "x", "kind": "openai", "url": "https://me:secret@models.test/v1"}
    with pytest.raises(ConfigError, match="provider 'x': url holds a user name") as no:
        parse(ProvidersConfig, {"members": [member]}, where="providers")
    assert "secret" not in str(no.value)
    parse(ProvidersConfig, {"members": [member | {"url": "https://models.test/@v1"}]}, where="p")
