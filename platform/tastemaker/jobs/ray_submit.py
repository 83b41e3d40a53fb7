"""Submit a RayJob, follow it with its log, and say why it failed; it goes when its step goes."""

import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn

from tastemaker.core.errors import TastemakerError
from tastemaker.jobs.kubernetes_api import KubernetesApi, Resource
from tastemaker.jobs.pipeline_server import say
from tastemaker.jobs.ray_job import render_ray_job
from tastemaker.jobs.ray_job_config import GRACE_S, RayJobConfig

RAY_JOBS = Resource("ray.io", "v1", "rayjobs")
_WAITING = ("Suspending", "Suspended")  # in Kueue's queue: the deadline does not run
_LAST_LINES = 20


@dataclass
class _Seen:
    """What was read of a job so far, kept because a finished job's pods vanish."""

    status: str = ""
    ended: dict[str, str] = field(default_factory=dict)  # pod/container: how it ended
    lines: list[str] = field(default_factory=list)  # the log's last lines
    line_time: tuple[str, str] = ("", "")
    line_read: float = 0.0
    log_pod: str = ""


def run_ray_job(
    name: str,
    entrypoint: Sequence[str],
    config: RayJobConfig,
    *,
    api: KubernetesApi | None = None,
    poll_s: float = 5.0,
    grace_s: float = GRACE_S,
) -> None:
    """Run a command in a Ray cluster of its own and return when it has succeeded.

    A job of this name that is under way is followed, not started again; one that failed is
    replaced. SIGTERM (the pipeline run is stopped) and any error here delete the job.

    Args:
        name: Names the inputs (`job_name`).
        entrypoint: Command of the driver.
        config: Size, limits and surroundings.
        api: Of Kubernetes; default: as this pod's service account.
        poll_s: Between two looks, seconds.
        grace_s: How long the operator may be late to end it, seconds.

    Raises:
        TastemakerError: It failed, vanished, or went past its deadline; with the cause.
        ServiceError: The Kubernetes API refused, or stayed away.
    """
    import ray

    api = api or KubernetesApi.open()
    namespace = config.namespace or api.namespace
    job = render_ray_job(name, entrypoint, config, namespace=namespace, ray_version=ray.__version__)
    with _deleted_on_exit(api, namespace, name):
        _start(api, namespace, job, poll_s)
        _follow(api, namespace, name, config, poll_s=poll_s, grace_s=grace_s)


def _start(api: KubernetesApi, namespace: str, job: Mapping[str, Any], poll_s: float) -> None:
    name = job["metadata"]["name"]
    while not api.create(RAY_JOBS, namespace, job):
        there = api.get(RAY_JOBS, namespace, name)
        if there is None:
            continue
        going = "deletionTimestamp" in there["metadata"]
        if not going and _deployment(there) not in ("Failed", "ValidationFailed"):
            say(f"Ray job {namespace}/{name} is under way already")
            return
        if not going:
            say(f"Ray job {namespace}/{name} failed before; it is started anew")
            api.delete(RAY_JOBS, namespace, name)
        time.sleep(poll_s)
    say(f"Ray job {namespace}/{name} submitted")


def _follow(
    api: KubernetesApi,
    namespace: str,
    name: str,
    config: RayJobConfig,
    *,
    poll_s: float,
    grace_s: float,
) -> None:
    seen = _Seen()
    allowed_s = config.longest_s - GRACE_S + grace_s
    last = time.monotonic()
    while True:
        job = api.get(RAY_JOBS, namespace, name)
        if job is None:
            raise TastemakerError(
                f"Ray job {namespace}/{name} was deleted by someone while it was "
                f"{seen.status or 'starting'}{_tail(seen)}"
            )
        _look(api, namespace, name, job, seen)
        state = _deployment(job)
        if state == "Complete" and job["status"].get("jobStatus") == "SUCCEEDED":
            return
        if state in ("Complete", "Failed", "ValidationFailed"):
            raise TastemakerError(f"Ray job {namespace}/{name} failed: {_cause(job, seen)}")
        now = time.monotonic()
        allowed_s -= 0 if state in _WAITING else now - last
        last = now
        if allowed_s < 0:
            raise TastemakerError(
                f"Ray job {namespace}/{name} is still {seen.status} past its deadline of "
                f"{config.deadline_s} s and nobody ended it (is the KubeRay operator running?)"
                f"{_tail(seen)}"
            )
        time.sleep(poll_s)


def _look(api: KubernetesApi, namespace: str, name: str, job: Any, seen: _Seen) -> None:
    status = job.get("status", {})
    state = " ".join(filter(None, (_deployment(job), status.get("jobStatus", "")))) or "new"
    if state != seen.status:
        seen.status = state
        say(f"Ray job {name}: {state}")
    _read_log(api, namespace, name, seen)
    if cluster := status.get("rayClusterName"):
        for pod in api.pods(namespace, f"ray.io/cluster={cluster}"):
            _note_ends(pod, seen)


def _read_log(api: KubernetesApi, namespace: str, name: str, seen: _Seen) -> None:
    """Say the new lines of the newest submitter, whose log is the driver's."""
    pods = api.pods(namespace, f"batch.kubernetes.io/job-name={name}")
    if not pods:
        return
    newest = max(pods, key=lambda pod: pod["metadata"].get("creationTimestamp", ""))
    pod_name, now = newest["metadata"]["name"], time.monotonic()
    if pod_name != seen.log_pod:
        seen.log_pod, seen.line_time, since = pod_name, ("", ""), None
    else:
        since = int(now - seen.line_read) + 10  # clocks differ; lines that were said are left out
    lines = api.log(namespace, pod_name, since_s=since)
    seen.line_read = now
    for line in lines:
        stamp, _, text = line.partition(" ")
        at = _sortable(stamp)
        if at > seen.line_time:
            seen.line_time = at
            seen.lines = [*seen.lines, text][-_LAST_LINES:]
            say(f"  {text}")


def _sortable(stamp: str) -> tuple[str, str]:
    # Go leaves out zeros at the end of a fraction: 12.5Z is after 12.45Z, as text and as time
    seconds, _, fraction = stamp.removesuffix("Z").partition(".")
    return seconds, fraction.ljust(9, "0")


def _note_ends(pod: Mapping[str, Any], seen: _Seen) -> None:
    for container in pod.get("status", {}).get("containerStatuses", []):
        for place in ("lastState", "state"):
            end = container.get(place, {}).get("terminated")
            if end and end.get("exitCode", 0) != 0:
                what = f"{pod['metadata']['name']}/{container['name']}"
                code = end["exitCode"]
                seen.ended[what] = f"{what}: {end.get('reason', 'Error')} (exit code {code})"


def _cause(job: Mapping[str, Any], seen: _Seen) -> str:
    status = job.get("status", {})
    state = "/".join(filter(None, (status.get("jobDeploymentStatus"), status.get("jobStatus"))))
    said = [part for part in (status.get("reason"), status.get("message")) if part]
    ends = list(seen.ended.values())
    return "; ".join([state, *said, *ends]) + _tail(seen)


def _tail(seen: _Seen) -> str:
    return "".join(f"\n  | {line}" for line in seen.lines)


def _deployment(job: Mapping[str, Any]) -> str:
    return str(job.get("status", {}).get("jobDeploymentStatus", ""))


@contextmanager
def _deleted_on_exit(api: KubernetesApi, namespace: str, name: str) -> Iterator[None]:
    """Delete the job when this process is told to end; a failed one stays to be looked at."""
    before: Any = None
    ours = threading.current_thread() is threading.main_thread()
    if ours:
        before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
        api.delete(RAY_JOBS, namespace, name)  # its work is done and kept in the home
    except TastemakerError:
        raise
    except BaseException:
        say(f"Ray job {namespace}/{name} is deleted: its step ends")
        api.delete(RAY_JOBS, namespace, name)
        raise
    finally:
        if ours:
            signal.signal(signal.SIGTERM, before)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
