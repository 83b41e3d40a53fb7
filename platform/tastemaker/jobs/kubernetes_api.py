"""The few calls of the Kubernetes API that jobs make, with time for an API server that restarts."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tastemaker.core.errors import ConfigError, ServiceError

T = TypeVar("T")

_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_TIMEOUT_S = 30
_BUSY = (429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Resource:
    """A kind of custom objects, as paths of the API name it."""

    group: str
    version: str
    plural: str


class KubernetesApi:
    """Custom objects, pods and logs.

    Args:
        client: An API client of the official library.
        namespace: Where objects go that name none.
        patience_s: How long an API server may be away, seconds.
        pause_s: Between two attempts, seconds.
    """

    def __init__(
        self, client: Any, namespace: str, *, patience_s: float = 300, pause_s: float = 2
    ) -> None:
        from kubernetes.client import CoreV1Api, CustomObjectsApi

        self.custom, self.core = CustomObjectsApi(client), CoreV1Api(client)
        self.namespace, self.host = namespace, client.configuration.host
        self.patience_s, self.pause_s = patience_s, pause_s

    @classmethod
    def open(cls) -> "KubernetesApi":
        """As this pod's service account, else as the user of the kubeconfig.

        Raises:
            ConfigError: Neither is there.
        """
        from kubernetes import client, config

        made = client.Configuration()
        try:
            config.load_incluster_config(made)
            namespace = _NAMESPACE.read_text().strip()
        except (config.ConfigException, OSError):
            try:
                config.load_kube_config(client_configuration=made)
                active = config.list_kube_config_contexts()[1]
            except config.ConfigException as error:
                raise ConfigError(
                    f"no way to a Kubernetes API: not in a pod with a service account's token, "
                    f"and no kubeconfig ({error})"
                ) from None
            namespace = active["context"].get("namespace", "default")
        return cls(client.ApiClient(made), namespace)

    def create(self, kind: Resource, namespace: str, document: Mapping[str, Any]) -> bool:
        """Create an object; False where one of this name is there."""
        try:
            self._ask(
                lambda: self.custom.create_namespaced_custom_object(
                    kind.group,
                    kind.version,
                    namespace,
                    kind.plural,
                    dict(document),
                    _request_timeout=_TIMEOUT_S,
                ),
                known=409,
            )
        except _KnownError:
            return False
        return True

    def get(self, kind: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        """An object, None where there is none."""
        try:
            found: dict[str, Any] = self._ask(
                lambda: self.custom.get_namespaced_custom_object(
                    kind.group,
                    kind.version,
                    namespace,
                    kind.plural,
                    name,
                    _request_timeout=_TIMEOUT_S,
                ),
                known=404,
            )
        except _KnownError:
            return None
        return found

    def delete(self, kind: Resource, namespace: str, name: str) -> None:
        """Delete an object and what it owns; none is no fault."""
        try:
            self._ask(
                lambda: self.custom.delete_namespaced_custom_object(
                    kind.group,
                    kind.version,
                    namespace,
                    kind.plural,
                    name,
                    propagation_policy="Background",
                    _request_timeout=_TIMEOUT_S,
                ),
                known=404,
            )
        except _KnownError:
            return

    def pods(self, namespace: str, labels: str) -> list[dict[str, Any]]:
        """Pods that labels select, as JSON."""
        from kubernetes.client import ApiClient

        found = self._ask(
            lambda: self.core.list_namespaced_pod(
                namespace, label_selector=labels, _request_timeout=_TIMEOUT_S
            )
        )
        pods: list[dict[str, Any]] = ApiClient().sanitize_for_serialization(found.items)
        return pods

    def log(self, namespace: str, pod: str, *, since_s: int | None) -> list[str]:
        """Lines of a pod's log, each with its time before it; none while it has not started.

        Args:
            namespace: Of the pod.
            pod: Its name.
            since_s: Only the last so many seconds, >= 1; None: from the beginning.
        """
        given = {} if since_s is None else {"since_seconds": since_s}
        try:
            answer = self._ask(
                lambda: self.core.read_namespaced_pod_log(
                    pod,
                    namespace,
                    timestamps=True,
                    _preload_content=False,
                    _request_timeout=_TIMEOUT_S,
                    **given,
                ),
                known=400,
            )
        except (_KnownError, ServiceError):  # still starting, or gone with its node
            return []
        return answer.data.decode(errors="replace").splitlines()

    def _ask(self, request: Callable[[], T], *, known: int = 0) -> T:
        """Make a request again while the server is away or busy; creating is safe by its name."""
        import urllib3
        from kubernetes.client import ApiException

        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                return request()
            except ApiException as error:
                if error.status == known:
                    raise _KnownError from None
                if error.status not in _BUSY or time.monotonic() > deadline:
                    raise ServiceError(self._refusal(error)) from None
            except urllib3.exceptions.HTTPError as error:
                if time.monotonic() > deadline:
                    raise ServiceError(
                        f"no answer from the Kubernetes API at {self.host} for "
                        f"{self.patience_s:.0f} s: {error}"
                    ) from None
            time.sleep(self.pause_s)

    def _refusal(self, error: Any) -> str:
        import json

        try:
            said = json.loads(error.body)["message"]
        except (TypeError, ValueError, KeyError):
            said = error.reason
        hint = "; its service account lacks a role" if error.status == 403 else ""
        return f"the Kubernetes API at {self.host} answered {error.status}: {said}{hint}"


class _KnownError(Exception):
    """An answer that the caller has asked to know of."""
