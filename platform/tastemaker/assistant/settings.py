"""Configuration of the assistant; every field has a working default."""

from pydantic import Field

from tastemaker.assistant.identity import IdentityConfig
from tastemaker.assistant.providers.settings import MemberConfig, ProvidersConfig
from tastemaker.assistant.tools.registry import RegistryConfig
from tastemaker.core.config import Config
from tastemaker.features.config import FeatureConfig

OWN = "http://own"  # as a member's url: the router that this environment serves


class AssistantConfig(Config):
    """Limits of a turn, of a conversation and of a request."""

    max_steps: int = Field(default=6, ge=1, le=20)  # router steps a turn
    budget_s: float = Field(default=30.0, gt=0)  # of a turn, everything included
    max_tokens: int = Field(default=96, ge=16)  # of one router step
    max_turn_tokens: int = Field(default=60_000, ge=100)  # read and written, of a turn
    max_turn_cents: float = Field(default=5.0, gt=0)  # of a turn
    max_parallel: int = Field(default=4, ge=1, le=16)  # tool calls at once
    features_s: float = Field(default=0.25, gt=0)  # longest wait for the user's features
    num_items: int = Field(default=10, ge=1, le=50)  # of a list
    max_turns: int = Field(default=8, ge=1)  # of a conversation that the router is shown
    max_lists: int = Field(default=20, ge=1, le=24)  # likewise; handles end at @32
    max_conversations: int = Field(default=200, ge=1)  # kept decoded in memory
    idle_s: float = Field(default=86_400.0, gt=0)  # until a conversation has ended
    keep_days: float = Field(default=90.0, gt=0)  # turns' records are kept
    max_body_bytes: int = Field(default=12 << 20, ge=1024)  # of a request
    max_question_chars: int = Field(default=2000, ge=1)
    max_messages: int = Field(default=200, ge=1)  # of a request's history
    max_images: int = Field(default=4, ge=0)  # of the user's own, a turn


class GatewayConfig(Config):
    """Everything that the gateway can be told; an `assistant` preset fills this in."""

    assistant: AssistantConfig = AssistantConfig()
    identity: IdentityConfig = IdentityConfig()
    features: FeatureConfig = FeatureConfig()
    providers: ProvidersConfig = ProvidersConfig(members=(MemberConfig(name="router", url=OWN),))
    tools: RegistryConfig = RegistryConfig()

    def router_family(self, own_url: str) -> ProvidersConfig:
        """The members, with the address of the router that this environment serves."""
        members = tuple(
            member.model_copy(update={"url": own_url}) if member.url == OWN else member
            for member in self.providers.members
        )
        return self.providers.model_copy(update={"members": members})
