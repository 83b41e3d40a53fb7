"""Job: what happened at the assistant, and a dataset version, to the next dataset version."""

import sys
from collections import Counter

from sqlalchemy import Engine

from tastemaker.core.home import Home
from tastemaker.data.all_events import all_events
from tastemaker.data.dataset import Dataset, load_dataset, write_table


def run(home: Home, dataset: str, engine: Engine) -> str:
    """Take the log's events into a dataset version; forgotten users leave it.

    Args:
        home: Holds the dataset version.
        dataset: Its digest.
        engine: Database with the log of live events.

    Returns:
        The digest of a version with all events; the given one where nothing changes.

    Raises:
        NotFound: The home has no such version.
    """
    given = load_dataset(home, dataset)
    events = all_events(given, engine)
    table = write_table(home, "events", events)
    before = given.tables.get("events")
    if before is not None and table.content == before.content:
        sys.stderr.write(f"dataset version {dataset} has every event of the log already\n")
        return dataset
    actions = dict(sorted(Counter(events["action"].to_pylist()).items()))
    added = len(events) - (before.rows if before else 0)
    notes = {"events": len(events), "actions": actions, "events_added": added}
    return Dataset(
        home=home,
        name=given.name,
        tables={**given.tables, "events": table},
        parents=(dataset,),
        spaces=given.spaces,
        notes={**given.notes, **notes},
    ).save()
