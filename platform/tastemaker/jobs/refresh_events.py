"""Job: a freshly curated dataset version, with the events of the live one and of the log."""

from dataclasses import replace

import pyarrow.compute as pc
from sqlalchemy import Engine

from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, load_dataset, write_table
from tastemaker.jobs import collect_events


def run(home: Home, dataset: str, events_of: str, engine: Engine) -> str:
    """Carry events over to new items; then take the log's.

    Args:
        home: Holds both versions.
        dataset: Curated from the source as it is now.
        events_of: The version whose events go on, vectors and all where the items are the same.
        engine: Database with the log of live events.

    Returns:
        Digest of a version with every event of items that still exist; `events_of` where
        neither items nor events changed.

    Raises:
        NotFound: The home has no such version.
    """
    fresh, live = load_dataset(home, dataset), load_dataset(home, events_of)
    if _same_catalogue(fresh, live):
        return collect_events.run(home, events_of, engine)
    return collect_events.run(home, _carried(fresh, live), engine)


def _same_catalogue(fresh: Dataset, live: Dataset) -> bool:
    names = set(fresh.tables) | set(live.tables)
    contents = [
        {name: data.tables[name].content for name in names - {"events"} if name in data.tables}
        for data in (_bare(fresh), _bare(live))
    ]
    return contents[0] == contents[1]


def _bare(data: Dataset) -> Dataset:
    """With the digest of the items as curated: a vector column changes the table's, not them."""
    items = data.tables["items"]
    return replace(data, tables={**data.tables, "items": replace(items, content=items.uri)})


def _carried(fresh: Dataset, live: Dataset) -> str:
    if "events" not in live.tables:
        return fresh.digest
    known = fresh.read("items", ["item_id"])["item_id"]
    events = live.read("events")
    kept = events.filter(pc.is_in(events["item_id"], value_set=known.combine_chunks()))
    table = write_table(fresh.home, "events", kept)
    carried = replace(
        fresh,
        tables={**fresh.tables, "events": table},
        parents=(fresh.digest, live.digest),
        notes={**fresh.notes, "events": len(kept), "events_carried": len(kept)},
    )
    return carried.save()
