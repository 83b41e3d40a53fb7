"""Training of the router on several nodes: processes of a Ray cluster, each on a share of a batch.

python -m tastemaker.jobs.ray_train RUN    a RayJob's driver; RUN is JSON, Ray is there already
"""

import json
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tastemaker.core.config import from_settings, to_settings
from tastemaker.core.errors import TastemakerError
from tastemaker.core.home import Home
from tastemaker.jobs.ray_job import job_name
from tastemaker.jobs.ray_job_config import RayJobConfig
from tastemaker.jobs.ray_submit import run_ray_job
from tastemaker.router.config import RouterConfig

RESULTS = "ray_results"  # folder of the home: digest of the bundle by name of the job


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        home: Location of the home.
        dialogues: Digest of the dialogues.
        settings: RouterConfig as JSON.
    """

    home: str
    dialogues: str
    settings: str

    @property
    def name(self) -> str:
        """Of its Ray job."""
        return job_name("train-router", [self.dialogues, self.settings])


class Member:
    """An actor: one process of the group."""

    def meeting(self) -> str:
        """An address of this node where the others find the first."""
        import ray

        with socket.socket() as free:
            free.bind(("", 0))
            return f"tcp://{ray.util.get_node_ip_address()}:{free.getsockname()[1]}"

    def train(self, run: Run, rank: int, size: int, meeting: str) -> str:
        """Train to the end; returns the bundle's digest in the first process, else ""."""
        from tastemaker.jobs import train_router
        from tastemaker.training.launch import joined

        settings = from_settings(RouterConfig, run.settings, family="router")
        with joined(rank, size, meeting) as group:
            return train_router.train(Home.open(run.home), run.dialogues, settings, group)


def submit(home: Home, dialogues: str, settings: RouterConfig, job: RayJobConfig) -> str:
    """Train in a Ray cluster of its own; returns the bundle's digest.

    Raises:
        TastemakerError: It failed; with the cause.
    """
    run = Run(home.location, dialogues, to_settings(settings))
    command = ["python", "-m", "tastemaker.jobs.ray_train", json.dumps(asdict(run))]
    run_ray_job(run.name, command, job)
    digest = home.read_text(RESULTS, run.name)
    if digest is None:
        raise TastemakerError(f"Ray job {run.name} has ended without a result in {home.location}")
    home.remove(RESULTS, run.name)
    return digest


def train_on_ray(run: Run) -> str:
    """Train on actors, one for each process, on as many nodes as there are.

    Raises:
        TastemakerError: A process failed; the next start goes on from the last checkpoint.
    """
    import ray
    from ray.util.placement_group import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    settings = from_settings(RouterConfig, run.settings, family="router")
    size = settings.workers
    places = placement_group([{"CPU": settings.threads}] * size, strategy="SPREAD")
    remote: Any = ray.remote(num_cpus=settings.threads)(Member)
    try:
        ray.get(places.ready())
        members = [
            remote.options(
                scheduling_strategy=PlacementGroupSchedulingStrategy(places, rank)
            ).remote()
            for rank in range(size)
        ]
        meeting = ray.get(members[0].meeting.remote())
        waiting = [m.train.remote(run, rank, size, meeting) for rank, m in enumerate(members)]
        return next(filter(None, ray.get(waiting)))
    except ray.exceptions.RayError as error:
        last = str(error).strip().splitlines()[-1].strip()
        raise TastemakerError(f"training on {size} Ray actors failed: {last}") from None
    finally:
        remove_placement_group(places)


def main(arguments: Sequence[str]) -> int:
    """Train in the Ray cluster that this process was started in."""
    import ray

    run = Run(**json.loads(arguments[0]))
    ray.init(address="auto", log_to_driver=True)
    try:
        digest = train_on_ray(run)
    except TastemakerError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    Home.open(run.home).write_text(digest, RESULTS, run.name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
