"""Which back ends there are, and how one is chosen; every field has a working default."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tastemaker.core.config import Config


class MemberConfig(Config):
    """One back end of the router family."""

    name: str = Field(min_length=1, max_length=64)
    kind: Literal["own", "openai", "scripted"] = "own"
    url: str = ""  # own: without a path; openai: with its version path
    model: str = "router"  # its name at the endpoint
    api_key_env: str = ""  # environment variable that holds the key, never the key itself
    price: str = "own-router"  # id in the price list
    timeout_s: float = Field(default=20.0, gt=0)  # of one request
    latency_budget_ms: float | None = Field(default=None, gt=0)  # while over it, others come first
    reads_images: bool = False
    max_items: int = Field(default=12, ge=1)  # of a list that are described in words
    max_tokens: int | None = Field(default=None, ge=16)  # of a reply, None for the request's
    body: dict[str, Any] = Field(default_factory=dict)  # further fields of its requests
    script: tuple[dict[str, Any], ...] = ()  # kind scripted: the messages that it says
    latency_ms: float = Field(default=0.0, ge=0)  # kind scripted: how long each takes

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if self.kind != "scripted" and not self.url.startswith(("http://", "https://")):
            raise ValueError(f"provider {self.name!r}: url must be http(s)://, got {self.url!r}")
        if "@" in self.url.partition("://")[2].partition("/")[0]:
            raise ValueError(f"provider {self.name!r}: url holds a user name; use api_key_env")
        if self.kind == "scripted" and not self.script:
            raise ValueError(f"provider {self.name!r}: kind scripted needs a script")
        return self


class ShadowConfig(Config):
    """A second member that gets a copy of some requests, off the path."""

    member: str
    frac: float = Field(default=0.05, gt=0, le=1)  # of requests
    max_at_once: int = Field(default=4, ge=1)  # copies under way; more are left out


class ProvidersConfig(Config):
    """The router family and how one member is chosen."""

    members: tuple[MemberConfig, ...] = Field(min_length=1)
    choose: Literal["order", "cheapest", "fastest"] = "order"
    slow_after_ms: float | None = Field(default=None, gt=0)  # then the next is asked as well
    failures_to_open: int = Field(default=3, ge=1)  # in a row, until a member is left alone
    open_s: float = Field(default=5.0, gt=0)  # before one request tries it again
    stale_s: float = Field(default=60.0, gt=0)  # a latency measured longer ago counts no more
    shadow: ShadowConfig | None = None

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        names = [member.name for member in self.members]
        if len(set(names)) < len(names):
            raise ValueError(f"providers: names must differ, got {names}")
        if self.shadow and self.shadow.member not in names:
            raise ValueError(f"shadow.member={self.shadow.member!r} is none of {names}")
        if self.shadow and len(names) < 2:
            raise ValueError("shadow needs a second member to compare with")
        return self
