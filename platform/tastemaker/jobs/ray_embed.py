"""Embedding in parts on Ray: in a cluster of its own (a RayJob's driver), or on this machine.

python -m tastemaker.jobs.ray_embed WORK    the driver; WORK is JSON, Ray is there already
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

from tastemaker.core.errors import TastemakerError
from tastemaker.core.progress import Progress
from tastemaker.jobs import embedding_parts
from tastemaker.jobs.embedding_parts import Part, Work

_TRIES = 3  # of a part or fragment whose process died


class Embedder:
    """An actor: one encoder in its own process, one thread.

    Args:
        work: What is embedded.
    """

    def __init__(self, work: Work) -> None:
        import torch

        torch.set_num_threads(1)
        self.work, self.encoder = work, embedding_parts.load(work)

    def embed(self, part: Part) -> int:
        """Write one part; returns its rows."""
        embedding_parts.embed_part(self.work, self.encoder, part)
        return part.rows


@contextmanager
def local_ray(processes: int) -> Iterator[None]:
    """Ray on this machine for as many processes as are asked, unless it runs already."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    _start(processes + 1)  # logical CPUs: actors that hold every one would leave none for tasks
    try:
        yield
    finally:
        ray.shutdown()


def _start(num_cpus: int) -> None:
    import ray

    for attempt in range(_TRIES):
        try:
            ray.init(
                num_cpus=num_cpus,
                include_dashboard=False,
                logging_level="ERROR",
                log_to_driver=False,
            )
            return
        except Exception as error:  # Ray has no class for it: its nodes have 30 s to start
            ray.shutdown()
            if "timed out during startup" not in str(error) or attempt == _TRIES - 1:
                raise TastemakerError(f"Ray did not start here: {error}") from None


def write_parts(work: Work, parts: Sequence[Part], actors: int) -> None:
    """Embed the parts on actors; one that dies is started again and its part is tried again.

    Args:
        work: What is embedded.
        parts: Of `embedding_parts.plan`.
        actors: Processes, one CPU each.

    Raises:
        TastemakerError: A part failed again and again.
    """
    import ray
    from ray.util import ActorPool

    remote: Any = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=_TRIES)(Embedder)
    pool = ActorPool([remote.remote(work) for _ in range(min(actors, len(parts)))])
    progress, done = Progress("embed items", sum(part.rows for part in parts)), 0
    try:
        for rows in pool.map_unordered(lambda actor, part: actor.embed.remote(part), parts):
            done += rows
            progress.update(done)
    except ray.exceptions.RayError as error:
        raise TastemakerError(f"embedding on Ray failed: {_last_line(error)}") from None


def merge(work: Work, parts: Sequence[Part]) -> list[tuple[Any, Any]]:
    """`merge_fragment` of each fragment as a task, in the table's order."""
    import ray

    task: Any = ray.remote(num_cpus=1, max_retries=_TRIES)(embedding_parts.merge_fragment)
    fragments = list(dict.fromkeys(part.fragment for part in parts))
    try:
        return list(ray.get([task.remote(work, fragment, parts) for fragment in fragments]))
    except ray.exceptions.RayError as error:
        raise TastemakerError(f"merging on Ray failed: {_last_line(error)}") from None


def command(work: Work) -> list[str]:
    """The driver's command."""
    return ["python", "-m", "tastemaker.jobs.ray_embed", json.dumps(asdict(work))]


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].strip()


def main(arguments: Sequence[str]) -> int:
    """Embed everything in the Ray cluster that this process was started in."""
    import ray

    from tastemaker.jobs.precompute_embeddings import add_column

    work = Work(**json.loads(arguments[0]))
    ray.init(address="auto", log_to_driver=True)
    actors = int(ray.cluster_resources()["CPU"]) - 1
    write = partial(write_parts, actors=max(actors, 1))
    try:
        add_column(work, write, merge)
    except TastemakerError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
