"""From settings to back ends."""

from tastemaker.assistant.http_client import HttpClient
from tastemaker.assistant.ledger import Ledger
from tastemaker.assistant.providers.backend import Backend
from tastemaker.assistant.providers.openai_compatible import OpenAICompatible
from tastemaker.assistant.providers.own import OwnRouter
from tastemaker.assistant.providers.policy import Policy
from tastemaker.assistant.providers.scripted import ScriptedBackend
from tastemaker.assistant.providers.settings import MemberConfig, ProvidersConfig


def build_policy(config: ProvidersConfig, http: HttpClient, ledger: Ledger) -> Policy:
    """The policy of a configuration.

    Args:
        config: Members and the rule of choice.
        http: Sends all members' requests.
        ledger: Where prices come from and the shadow's cost goes.

    Raises:
        ConfigError: A key's environment variable is not set.
        NotFound: A price is not in the price list.
    """
    return Policy([build_backend(member, http) for member in config.members], config, ledger)


def build_backend(member: MemberConfig, http: HttpClient) -> Backend:
    """The back end of one member.

    Raises:
        ConfigError: The key's environment variable is not set.
    """
    if member.kind == "own":
        return OwnRouter(member.url, http, model=member.model, name=member.name)
    if member.kind == "scripted":
        latency_s = member.latency_ms / 1000
        return ScriptedBackend(member.script, name=member.name, latency_s=latency_s)
    return OpenAICompatible(
        member.url,
        http,
        model=member.model,
        name=member.name,
        api_key_env=member.api_key_env,
        max_items=member.max_items,
        reads_images=member.reads_images,
        max_tokens=member.max_tokens,
        body=member.body,
    )
