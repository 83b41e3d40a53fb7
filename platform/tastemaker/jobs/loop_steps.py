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


@step
def gate_set(
    key: str,
    dataset: str,
    evaluated_on: str,
    environment: str,
    gates: str = "default",
    encoder: str = "",
    index: str = "",
    sequence: str = "",
    router: str = "",
) -> str:
    """Judge bundles that are to become live together; says what was found under the key."""
    import tastemaker.jobs.gate_set as job
    import tastemaker.jobs.pipeline_run as results

    home = Home.open()
    given = {"encoder": encoder, "retrieval": index, "recommender": sequence, "router": router}
    bundles = {model: digest for model, digest in given.items() if digest}
    found = job.run(
        home,
        bundles,
        dataset=dataset,
        evaluated_on=evaluated_on,
        environment=environment,
        preset=gates,
    )
    results.keep(home, key, found)
    return key


@step
def check_drift(key: str, environment: str, settings: str = "") -> str:
    """Compare what happens now with what the live models know; says it under the key."""
    import tastemaker.jobs.drift as job
    import tastemaker.jobs.pipeline_run as results
    from tastemaker.core.config import from_settings
    from tastemaker.core.database import open_database
    from tastemaker.jobs.drift_config import DriftConfig

    home, rules = Home.open(), from_settings(DriftConfig, settings, family="drift")
    names = job.run(home, open_database(home.database()), environment, rules, key)
    report = home.uri("drift", f"{key}.html")
    results.keep(home, key, {"names": "; ".join(names), "report": report})
    return key
