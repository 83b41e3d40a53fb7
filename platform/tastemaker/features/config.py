"""Where features are kept, and opening the Feast store there.

features/<generation>/      Parquet tables of one materialisation: the offline store
features/<generation>.db    its registry; an SQL registry holds those of the live one besides
features/current.yaml       which generation is live, and what it was made from
features/feature_store.yaml for Feast's own command line; the client builds the same in memory
features/online.db          the online store, unless that is a Redis
"""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import yaml
from pydantic import Field, field_validator, model_validator

from tastemaker.core.config import Config
from tastemaker.core.errors import ConfigError, NotFound
from tastemaker.core.home import Home, write_text

if TYPE_CHECKING:
    from feast import FeatureStore

PROJECT = "tastemaker"


class FeatureConfig(Config):
    """The online store and how the client uses it; every field has a working default."""

    online: Literal["sqlite", "redis"] = "sqlite"
    redis_url: str = "127.0.0.1:6379"  # host:port[,db=0][,ssl=true], Feast's form
    redis_password_env: str = ""  # name of the variable that holds it, never the password
    redis_timeout_s: float = Field(default=0.5, gt=0)  # of one command, connecting included
    check_s: float = Field(default=5.0, gt=0)  # between two looks at what is pending or lost
    push_batch: int = Field(default=500, ge=1)  # events of one write
    push_wait_s: float = Field(default=2.0, gt=0)  # that `record` waits for its write
    session_hours: float = Field(default=24.0, gt=0)  # younger sessions are refilled after a loss
    registry: Literal["file", "sql"] = "file"  # sql: shared by processes that share no disk
    registry_url_env: str = ""  # name of the variable that holds its SQLAlchemy URL, never the URL

    @field_validator("redis_url")
    @classmethod
    def _no_secret(cls, value: str) -> str:
        if "password" in value.lower() or "@" in value:
            raise ValueError(
                "holds a password; write host:port here and name the variable that holds the "
                "password in redis_password_env"
            )
        return value

    @model_validator(mode="after")
    def _sql_has_its_url(self) -> Self:
        if self.registry == "sql" and not self.registry_url_env:
            raise ValueError(
                "registry sql needs registry_url_env, the variable that holds its SQLAlchemy URL"
            )
        return self

    def by_file(self) -> "FeatureConfig":
        """The same with the registry that lies beside a generation's tables."""
        return self.model_copy(update={"registry": "file"})


@dataclass(frozen=True)
class Generation:
    """One materialisation: everything that the live features were made from, by digest.

    Attributes:
        tables: Digest of the offline tables.
        dataset: Dataset version of events and items.
        encoder: Space of the session embeddings.
        sequence: Sequence bundle of the user embeddings.
        written_ms: When it became live.
    """

    tables: str
    dataset: str
    encoder: str
    sequence: str
    written_ms: int


def current(home: Home) -> Generation:
    """The live generation.

    Raises:
        NotFound: Nothing has been materialised in this home.
    """
    text = home.read_text("features", "current.yaml")
    if text is None:
        raise NotFound(
            f"no features in {home.location}; run `tastemaker materialise-features` "
            "(a part of `tastemaker pipeline run full_stack`)"
        )
    return Generation(**yaml.safe_load(text))


def set_current(home: Home, config: FeatureConfig, generation: Generation) -> None:
    """Make a generation live: one atomic write; readers see the old one or the new one."""
    settings = _settings(home, config, generation.tables, lambda name: f"${{{name}}}")
    write_text(home.path("features", "feature_store.yaml"), yaml.safe_dump(settings))
    home.write_text(yaml.safe_dump(asdict(generation)), "features", "current.yaml")


def tables_folder(home: Home, tables: str) -> Path:
    """Folder of a generation's Parquet tables; fetched where it is missing."""
    return home.fetch("features", tables)


def open_store(home: Home, config: FeatureConfig, tables: str | None = None) -> "FeatureStore":
    """Open the Feast store over a generation; importing Feast takes seconds.

    Args:
        home: Where everything lives.
        config: Which online store.
        tables: Digest of the generation's tables; default: the live one.

    Raises:
        NotFound: Nothing has been materialised.
        ConfigError: The variable of a password or of the registry's URL is not set, or a home
            on S3 has its online store in a file.
    """
    from feast import FeatureStore
    from feast.repo_config import RepoConfig

    require_shared(home, config)
    tables = tables or current(home).tables
    settings = _settings(home, config, tables, _secret)
    return FeatureStore(config=RepoConfig(**settings, repo_path=home.path("features")))


def require_shared(home: Home, config: FeatureConfig) -> None:
    """Refuse an online store that the other machines of a home on S3 would never see.

    Raises:
        ConfigError: It is a file.
    """
    if home.store and config.online == "sqlite":
        raise ConfigError(
            f"features online=sqlite is a file of this machine, but the home is {home.location}: "
            "set online=redis and redis_url"
        )


def _secret(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise ConfigError(f"{name} is named by the features' settings, but is not set")
    return value


def _settings(
    home: Home, config: FeatureConfig, tables: str, secret: Callable[[str], str]
) -> dict[str, Any]:
    folder = home.path("features", "x").parent
    folder.mkdir(parents=True, exist_ok=True)
    if config.registry == "sql":
        path = secret(config.registry_url_env)
    else:
        path = str(folder / f"{tables}.db")
    return {
        "project": PROJECT,
        "provider": "local",
        "registry": {
            "registry_type": config.registry,
            "path": path,
            "cache_ttl_seconds": 0,  # a generation's registry never changes
        },
        "online_store": _online_store(folder, config, secret),
        "offline_store": {"type": "duckdb"},
        "entity_key_serialization_version": 3,
    }


def _online_store(
    folder: Path, config: FeatureConfig, secret: Callable[[str], str]
) -> dict[str, Any]:
    if config.online == "sqlite":
        return {"type": "sqlite", "path": str(folder / "online.db")}
    parts = [config.redis_url]
    timeout = f"{config.redis_timeout_s:g}"
    parts += [f"socket_timeout={timeout}", f"socket_connect_timeout={timeout}"]
    if config.redis_password_env:
        parts.append(f"password={secret(config.redis_password_env)}")
    # A write is a merge with what is stored, so that a timestamp says nothing against it.
    return {"type": "redis", "connection_string": ",".join(parts), "skip_dedup": True}
