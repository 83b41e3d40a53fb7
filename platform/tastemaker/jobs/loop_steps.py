"""Steps that only the loop's pipelines have: plain text in and out, like `steps`."""

from tastemaker.core.home import Home
from tastemaker.jobs.steps import step


@step
def refresh_events(dataset: str, events_of: str) -> str:
    """A freshly curated dataset version, with the live one's events and the log's."""
    import tastemaker.jobs.refresh_events as job
    from tastemaker.core.database import open_database

    home = Home.open()
    return job.run(home, dataset, events_of, open_database(home.database()))


@step
def keep_result(
    key: str,
    dataset: str = "",
    index: str = "",
    sequence: str = "",
    dialogues: str = "",
    router: str = "",
    features: str = "",
) -> str:
    """Say what a run made, for the flow that started it; returns its key."""
    import tastemaker.jobs.pipeline_run as job

    made = {
        "dataset": dataset,
        "index": index,
        "sequence": sequence,
        "dialogues": dialogues,
        "router": router,
        "features": features,
    }
    job.keep(Home.open(), key, made)
    return key
