"""`pipelines.flows.serve` with a schedule of seconds, for drills."""

from pipelines.flows.deployments import Plan
from pipelines.flows.ingest_and_curate import ingest_and_curate
from pipelines.flows.learn import learn
from pipelines.flows.serve import serve_all
from pipelines.flows.sweep import sweep

PLANS = (
    Plan(sweep, every_s=10.0),
    Plan(ingest_and_curate, on=("new-events",)),
    Plan(learn, on=("ingested", "drift-found")),
)

if __name__ == "__main__":
    serve_all("tiny", PLANS)
