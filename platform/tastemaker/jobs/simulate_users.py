"""Job: a dataset version to one with events, where the catalogue has none of its own."""

import sys
from collections import Counter

from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, load_dataset, write_table
from tastemaker.data.simulated_users import UsersConfig, simulate


def run(home: Home, dataset: str, settings: UsersConfig) -> str:
    """Add the events of simulated users.

    Args:
        home: Holds the dataset version.
        dataset: Its digest.
        settings: Numbers and weights.

    Returns:
        The digest of a version with events; the given one where it has real events.

    Raises:
        NotFound: The home has no such version.
        DataError: The version has too few items.
    """
    given = load_dataset(home, dataset)
    if "events" in given.tables:
        sys.stderr.write(f"dataset version {dataset} has events of its own; none are simulated\n")
        return dataset
    items = given.read("items", ["item_id", "category", "attributes", "price"])
    events = simulate(items, given.read("boards", ["items", "split"]), settings)
    actions = dict(sorted(Counter(events["action"].to_pylist()).items()))
    notes = {"events": len(events), "users": settings.users, "actions": actions}
    return Dataset(
        home=home,
        name=given.name,
        tables={**given.tables, "events": write_table(home, "events", events)},
        parents=(dataset,),
        spaces=given.spaces,
        notes={**given.notes, **notes, "events_are_simulated": True},
    ).save()
