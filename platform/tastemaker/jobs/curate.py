"""Job: a catalogue to a dataset version, with its quarantine and its report."""

import json
import sys

from tastemaker.core.home import Home
from tastemaker.data.curation import CurateConfig, curate
from tastemaker.data.curation_report import report_html
from tastemaker.data.dataset import Dataset, write_table
from tastemaker.data.sources import open_source


def run(home: Home, catalog: str, settings: CurateConfig) -> str:
    """Curate a catalogue.

    Writes the tables, `datasets/<digest>.yaml`, and beside it `<digest>.quarantine.jsonl` (each
    row that was set aside, with its reason) and `<digest>.html` (the data report).

    Args:
        home: Where to.
        catalog: demo, fashion, ikea-home or folder:/path.
        settings: What is accepted.

    Returns:
        The dataset version's digest.

    Raises:
        ConfigError: An unknown catalogue, or TASTEMAKER_DATA is not set.
        DataError: The source cannot be read, or nothing usable is in it.
    """
    curated = curate(open_source(catalog, settings), settings)
    tables = {"items": curated.items, "boards": curated.boards}
    if curated.events is not None:
        tables["events"] = curated.events
    written = {name: write_table(home, name, table) for name, table in tables.items()}
    name = catalog.partition(":")[0]
    dataset = Dataset(home=home, name=name, tables=written, notes=curated.notes)
    lines = (json.dumps(row, ensure_ascii=False) for row in curated.quarantine.to_pylist())
    quarantine = "".join(f"{line}\n" for line in lines)
    home.write_text(quarantine, "datasets", f"{dataset.digest}.quarantine.jsonl")
    home.write_text(report_html(dataset, curated), "datasets", f"{dataset.digest}.html")
    set_aside = ", ".join(f"{n} {why}" for why, n in curated.notes["quarantine"].items())
    sys.stderr.write(
        f"{catalog}: {len(curated.items)} items, {len(curated.boards)} boards; "
        f"set aside: {set_aside or 'nothing'}\n"
    )
    return dataset.save()
