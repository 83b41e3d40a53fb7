"""Job: remove what nobody needs any more: a cache entry together with its artifact.

Kept are: what any environment references now or in a commit that rollback could need, all of
that's parents, what the live features were made from, and everything younger than the grace
period. The order is: records and cache entries that name an artifact, then the artifact, then
its parents; so whoever is killed in between leaves nothing that names something gone.
"""

import fcntl
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tastemaker.core.errors import ConfigError, TastemakerError
from tastemaker.core.home import Home
from tastemaker.jobs import flow_records, pipeline_run, references
from tastemaker.jobs.flow_config import FlowConfig, RetentionRule
from tastemaker.jobs.live_references import live_references
from tastemaker.jobs.references import BUNDLES, DATASETS, DIALOGUES, TABLES, Artifact, References

FLOW = "clean_up"
_KINDS = (BUNDLES, DIALOGUES, DATASETS, TABLES)
_BESIDE = ("html", "quarantine.jsonl")  # of a dataset version
_DAY_S = 86_400.0


@dataclass(frozen=True)
class Plan:
    """What is to go.

    Attributes:
        artifacts: In the order in which they go: children before their parents.
        leftovers: Other files and folders by place: old runs' scratch, old records.
    """

    artifacts: tuple[Artifact, ...]
    leftovers: tuple[tuple[str, ...], ...]

    def lines(self) -> list[str]:
        """A line each, for a person."""
        places = [one.parts for one in self.artifacts] + list(self.leftovers)
        return ["/".join(place) for place in places]


def clean_up(
    home: Home, config: FlowConfig, *, dry_run: bool = False, now_s: float | None = None
) -> list[str]:
    """Remove what is not needed; idempotent by nature, so it keeps no record.

    Args:
        home: A folder; of a home on S3 and of a cluster's cache only a dry run is told, for the
            cache entries there are KFP's and cannot go together with their artifacts.
        config: How long things are kept.
        dry_run: Say what would go, remove nothing.
        now_s: The present, seconds since 1970; default: now.

    Returns:
        What went, or would go: a line each.

    Raises:
        ConfigError: Nothing says what is live, or the home cannot be cleaned up.
        TastemakerError: A pipeline is at work.
    """
    now_s = time.time() if now_s is None else now_s
    if (home.store or config.pipelines.host) and not dry_run:
        raise ConfigError(
            f"{home.location}: cache entries of a cluster are Kubeflow's and cannot be removed "
            "together with their artifacts; only `--dry-run` is possible"
        )
    if dry_run:
        return plan(home, config.retention, now_s).lines()
    with _no_pipeline(home):
        found = plan(home, config.retention, now_s)
        for one in found.artifacts:
            remove(home, one)
        for place in found.leftovers:
            home.remove(*place)
    return found.lines()


def plan(home: Home, rule: RetentionRule, now_s: float) -> Plan:
    """Decide, without touching anything."""
    kept = References(home)
    kept.add(live_references(home, rule.rollback_commits))
    kept.add(references.of_features(home))
    everything = list(_all(home))
    kept.add(one for one in everything if _age_s(home, one.parts, now_s) < rule.grace_days * _DAY_S)
    going = [one for one in everything if one not in kept.kept]
    return Plan(tuple(_children_first(home, going)), tuple(_leftovers(home, rule, now_s)))


def remove(home: Home, one: Artifact) -> None:
    """Remove an artifact: whatever names it first, then itself, at once."""
    _forget(home, one.digest)
    if one.kind == DATASETS:
        for suffix in _BESIDE:
            home.remove(DATASETS, f"{one.digest}.{suffix}")
    path = home.path(*one.parts)
    if path.is_dir():
        with home.staging() as aside:  # a rename is whole; what is left there, `sweep` takes
            path.rename(aside / one.digest)
    home.remove(*one.parts)
    if one.kind == BUNDLES:
        home.remove("evaluations", one.digest)


def _forget(home: Home, digest: str) -> None:
    """Drop cache entries, results and records of flows that name a digest."""
    for name in home.names("kfp", "cache"):
        text = home.read_text("kfp", "cache", name)
        if text and digest in text:
            home.remove("kfp", "cache", name)
    for name in home.names(pipeline_run.FOLDER):
        if digest in (home.read_text(pipeline_run.FOLDER, name) or ""):
            home.remove(pipeline_run.FOLDER, name)
    for flow in home.names(flow_records.FOLDER):
        for record in flow_records.records(home, flow):
            if digest in json.dumps(dict(record.result)):
                home.remove(flow_records.FOLDER, flow, f"{record.key}.json")


def _all(home: Home) -> Iterator[Artifact]:
    for kind in _KINDS:
        for name in home.names(kind):
            if kind != DATASETS:
                yield Artifact(kind, name)
            elif name.endswith(".yaml"):
                yield Artifact(kind, name.removesuffix(".yaml"))


def _children_first(home: Home, going: Sequence[Artifact]) -> list[Artifact]:
    """Topological order; what is not going is no part of it."""
    wanted, ordered = set(going), []
    seen: set[Artifact] = set()

    def visit(one: Artifact) -> None:
        if one in seen or one not in wanted:
            return
        seen.add(one)
        for parent in references.parents(home, one):
            visit(parent)
        ordered.append(one)

    for one in sorted(going):
        visit(one)
    return ordered[::-1]


def _leftovers(home: Home, rule: RetentionRule, now_s: float) -> Iterator[tuple[str, ...]]:
    """Scratch of runs; records of flows that ended; evaluations whose bundle is gone."""
    for name in home.names("kfp", "runs"):
        if _age_s(home, ("kfp", "runs", name), now_s) > rule.runs_days * _DAY_S:
            yield ("kfp", "runs", name)
    for flow in home.names(flow_records.FOLDER):
        for record in flow_records.records(home, flow):
            old = record.ended_ms and now_s - record.ended_ms / 1000 > rule.records_days * _DAY_S
            if old and record.state == "failed":  # what is done stays done
                yield (flow_records.FOLDER, flow, f"{record.key}.json")
    for digest in home.names("evaluations"):
        orphan = not home.holds(BUNDLES, digest)
        if orphan and _age_s(home, ("evaluations", digest), now_s) > rule.grace_days * _DAY_S:
            yield ("evaluations", digest)


def _age_s(home: Home, place: tuple[str, ...], now_s: float) -> float:
    """Since its last change here; 0 where this machine cannot tell."""
    path = home.root.joinpath(*place)
    newest = path / "bundle.yaml" if (path / "bundle.yaml").exists() else path
    return now_s - newest.stat().st_mtime if newest.exists() else 0.0


@contextmanager
def _no_pipeline(home: Home) -> Iterator[None]:
    """No pipeline starts meanwhile: it could just be taking an old artifact from the cache."""
    with home.path("run", "pipeline.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TastemakerError(
                f"a pipeline run works on {home.root}; clean up when it has ended"
            ) from None
        yield
