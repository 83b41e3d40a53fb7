"""The Feast registry of a generation: one file beside its tables, made on each machine.

It holds the tables' absolute paths, so another machine that reads the same home on S3 makes its
own from the tables.
"""

import uuid
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.core.home import Home
from tastemaker.features.config import FeatureConfig, open_store, tables_folder

if TYPE_CHECKING:
    from feast import FeatureStore


def make_registry(home: Home, settings: FeatureConfig, tables: str) -> None:
    """Write a generation's own registry where it is missing, and make the online store's tables.

    Args:
        home: Where the features live.
        settings: Which online store.
        tables: Digest of the generation's tables.
    """
    registry = home.path("features", f"{tables}.db")
    if registry.exists():
        return
    aside = f".{uuid.uuid4().hex[:8]}"
    try:
        register(open_store(home, settings.by_file(), aside), tables_folder(home, tables))
        home.path("features", f"{aside}.db").rename(registry)
    finally:
        home.path("features", f"{aside}.db").unlink(missing_ok=True)


def register(store: "FeatureStore", folder: Path) -> None:
    """Apply the definitions over the Parquet tables in a folder."""
    from tastemaker.features.definitions import definitions

    with warnings.catch_warnings():
        # Feast's note that on-demand views are slow over whole tables; ours are asked in parts
        warnings.filterwarnings("ignore", "On demand feature view is an experimental")
        store.apply(definitions(folder))
