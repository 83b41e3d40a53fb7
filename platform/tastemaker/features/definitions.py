"""The Feast definitions: entities, views, on-demand views and a service per model.

Importing this takes seconds (Feast); import it in functions. Names of features are unique over
all views: Feast hides same-named features of other views from an on-demand view.
"""

from pathlib import Path
from typing import Any

from feast import (
    Entity,
    FeatureService,
    FeatureView,
    Field,
    FileSource,
    OnDemandFeatureView,
    PushSource,
    RequestSource,
    ValueType,
)
from feast.transformation.python_transformation import PythonTransformation
from feast.types import Array, Float32, Float64, Int64, String

from tastemaker.features import on_demand, signals

USER = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
SESSION = Entity(name="session", join_keys=["session_id"], value_type=ValueType.STRING)
ITEM = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING)
STATE = Entity(name="state", join_keys=["state_id"], value_type=ValueType.STRING)
NOW = RequestSource(name="now", schema=[Field(name="now_ms", dtype=Int64)])
EVENT_COLUMNS = ("items", "actions", "times", "categories", "styles")


def definitions(tables: Path) -> list[Any]:
    """Everything to apply, over the Parquet tables in a folder."""
    user_history = _view("user_history", USER, _events("user"), tables, pushed=True)
    user_embedding = _view(
        "user_embedding",
        USER,
        {"user_embedding": Array(Float32), "embedding_model": String, "embedding_ms": Int64},
        tables,
    )
    session = {**_events("session"), "session_embedding": Array(Float32), "session_space": String}
    session_history = _view("session_history", SESSION, session, tables, pushed=True)
    popularity = {f"positives_{window}": Int64 for window in signals.WINDOWS_MS}
    item_signals = _view(
        "item_signals",
        ITEM,
        {**popularity, "quality": Float64, "first_seen_ms": Int64},
        tables,
    )
    store_state = _view("store_state", STATE, {"tables": String, "written_ms": Int64}, tables)
    user_signals = _on_demand(on_demand.user_signals, user_history, USER_SIGNALS)
    session_signals = _on_demand(on_demand.session_signals, session_history, SESSION_SIGNALS)
    item_age = _on_demand(on_demand.item_age, item_signals, {"item_age_days": Float64})
    stored = [user_history, user_embedding, session_history]
    ranker = [
        user_signals,
        user_embedding,
        session_signals,
        session_history[["session_embedding", "session_space"]],
        item_signals,
        item_age,
    ]
    history = user_history[["user_items", "user_actions", "user_times"]]
    router = [
        user_embedding,
        session_history[["session_items", "session_embedding", "session_space"]],
        session_signals,
    ]
    return [
        *(USER, SESSION, ITEM, STATE),
        *(user_history, user_embedding, session_history, item_signals, store_state),
        *(user_signals, session_signals, item_age),
        FeatureService(name="assistant", features=[*stored, user_signals, session_signals]),
        FeatureService(name="assistant_stored", features=stored),  # what of it lies in the store
        FeatureService(name="recommender", features=[history]),
        FeatureService(name="router", features=router),
        FeatureService(name="ranker", features=ranker),
    ]


USER_SIGNALS = {
    **{f"{action}_{window}": Int64 for action in signals.READ for window in signals.WINDOWS_MS},
    "category_names": Array(String),
    "category_shares": Array(Float64),
    "style_names": Array(String),
    "style_shares": Array(Float64),
    "recency_s": Float64,
}
SESSION_SIGNALS = {"session_intent": String, "session_recency_s": Float64}


def _events(whose: str) -> dict[str, Any]:
    types = {"times": Array(Int64)}
    return {f"{whose}_{column}": types.get(column, Array(String)) for column in EVENT_COLUMNS}


def _view(
    name: str, entity: Entity, fields: dict[str, Any], tables: Path, *, pushed: bool = False
) -> FeatureView:
    source: Any = FileSource(
        name=f"{name}_table",
        path=str(tables / f"{name}.parquet"),
        timestamp_field="event_timestamp",
    )
    if pushed:
        source = PushSource(name=f"{name}_push", batch_source=source)
    schema = [Field(name=entity.join_key, dtype=String)]
    schema += [Field(name=field, dtype=kind) for field, kind in fields.items()]
    return FeatureView(name=name, entities=[entity], schema=schema, source=source, online=True)


def _on_demand(function: Any, source: FeatureView, fields: dict[str, Any]) -> OnDemandFeatureView:
    name = function.__name__
    # The source text is an import: the registry refers to our function and holds no copy of it.
    text = f"from {function.__module__} import {name}\n"
    return OnDemandFeatureView(
        name=name,
        sources=[source, NOW],
        schema=[Field(name=field, dtype=kind) for field, kind in fields.items()],
        udf=function,
        udf_string=text,
        feature_transformation=PythonTransformation(udf=function, udf_string=text),
        mode="python",
    )
