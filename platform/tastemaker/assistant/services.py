"""The parts of the gateway, made once and shared by its routes."""

import asyncio
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from tastemaker.assistant.boards import BoardStore
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.clients import ModelClient, Upstreams
from tastemaker.assistant.conversation_records import Records
from tastemaker.assistant.conversation_store import Conversations
from tastemaker.assistant.http_client import HttpClient, Pool
from tastemaker.assistant.idempotency import Idempotency
from tastemaker.assistant.identity import Identity
from tastemaker.assistant.ledger import Ledger
from tastemaker.assistant.limits import Limits
from tastemaker.assistant.loop import Assistant
from tastemaker.assistant.metrics import Metrics
from tastemaker.assistant.prices import Prices
from tastemaker.assistant.providers.members import build_policy
from tastemaker.assistant.providers.policy import Policy
from tastemaker.assistant.session import Session
from tastemaker.assistant.settings import GatewayConfig
from tastemaker.assistant.taste import Taste
from tastemaker.assistant.tools.native import Tools
from tastemaker.assistant.tools.registry import Registry
from tastemaker.assistant.tracing import Tracing
from tastemaker.core.database import Look, database_fault, open_database
from tastemaker.core.home import Home
from tastemaker.features.client import FeatureClient
from tastemaker.features.item_facts import read_item_facts


@dataclass(frozen=True)
class Services:
    """The parts.

    Attributes:
        home: Where everything lives.
        config: The gateway's whole configuration.
        catalogue: Items and vectors.
        engine, database: The operational database, and why it cannot serve, if so.
        http: Sends requests to the servers.
        identity, limits: Who asks, and how much they may.
        features: What is known of users and sessions.
        boards, conversations, records, idempotency: What is kept for users.
        upstreams, policy: The model servers and the router family.
        tools, registry: Native tools, and those that an operator added.
        ledger, metrics, tracing: What it costs, and what is seen of it.
        session: Answers requests.
    """

    home: Home
    config: GatewayConfig
    catalogue: Catalogue
    engine: Engine
    database: Look[str]
    http: HttpClient
    identity: Identity
    limits: Limits
    features: FeatureClient
    boards: BoardStore
    conversations: Conversations
    records: Records
    idempotency: Idempotency
    upstreams: Upstreams
    policy: Policy
    tools: Tools
    registry: Registry
    ledger: Ledger
    metrics: Metrics
    tracing: Tracing
    session: Session

    async def readiness(self) -> dict[str, str]:
        """By part, an empty string when it can serve, else why not."""
        models, members, database = await asyncio.gather(
            self.upstreams.readiness(), self.policy.readiness(), self._database_fault()
        )
        down = "" if self.features.outbox.opened else "the feature store is not open"
        return {**models, **members, "features": down, "database": database}

    async def _database_fault(self) -> str:
        try:
            return await self.database.now()
        except TimeoutError as late:
            return str(late)

    def needed(self) -> set[str]:
        """Parts without which no turn can be answered well, or none at all (the database)."""
        return {"encoder", "retrieval", "recommender", "database"}

    async def close(self) -> None:
        """Finish what is under way and let go of everything."""
        await self.features.close()
        await self.policy.close()
        await self.registry.close()
        await self.http.aclose()
        self.tracing.close()
        self.engine.dispose()


def make_services(
    home: Home,
    catalogue: Catalogue,
    urls: dict[str, str],
    config: GatewayConfig,
    *,
    user_model: str = "",
    http: HttpClient | None = None,
) -> Services:
    """Wire the parts.

    Args:
        home: Where everything lives.
        catalogue: What is shown.
        urls: Base address of encoder, retrieval, recommender and router.
        config: Limits, identity, features, providers.
        user_model: Digest of the live sequence bundle.
        http: How the servers are reached; default: a pool of real connections.

    Raises:
        ConfigError: A configuration that cannot be served.
    """
    limits = config.assistant
    engine = open_database(home.database())
    http = http or Pool()
    models = {name: ModelClient(name, urls[name], http) for name in urls if name != "router"}
    upstreams = Upstreams(**models, space=catalogue.space)
    boards = BoardStore(engine)
    ledger = Ledger(engine, Prices.read())
    policy = build_policy(config.router_family(urls["router"]), http, ledger)
    tools = Tools(catalogue, upstreams, limits.num_items, boards)
    registry = Registry(engine, catalogue, config.tools.for_auth(config.identity.auth))
    metrics = Metrics(CollectorRegistry())
    facts = read_item_facts(catalogue.dataset, catalogue.space)
    features = FeatureClient(home, config.features, engine, facts, registry=metrics.registry)
    conversations = Conversations(engine, catalogue, limits.idle_s, limits.max_conversations)
    tracing = Tracing(home.path("run", "traces", "x").parent)
    taste, spending = Taste(user_model), Limits(engine)
    assistant = Assistant(tools, registry, upstreams, policy, limits, taste, ledger.prices)
    session = Session(
        catalogue=catalogue,
        assistant=assistant,
        conversations=conversations,
        features=features,
        boards=boards,
        ledger=ledger,
        limits=spending,
        metrics=metrics,
        tracing=tracing,
        config=limits,
    )
    return Services(
        home=home,
        config=config,
        catalogue=catalogue,
        engine=engine,
        database=Look(engine, partial(database_fault, engine)),
        http=http,
        identity=Identity(config.identity, engine, http),
        limits=spending,
        features=features,
        boards=boards,
        conversations=conversations,
        records=Records(engine),
        idempotency=Idempotency(engine),
        upstreams=upstreams,
        policy=policy,
        tools=tools,
        registry=registry,
        ledger=ledger,
        metrics=metrics,
        tracing=tracing,
        session=session,
    )
