"""ASGI middleware of model servers: each answer names the bundle that it comes from.

On one machine the proxy in front says so; on a cluster nobody else does.
"""

import os
from typing import Any

from tastemaker.promotion.bundle import BUNDLE_HEADER

VARIABLE = "TASTEMAKER_BUNDLE"  # set by the chart for vLLM, which mounts a part of the bundle


class BundleName:
    """Adds the header.

    Args:
        app: That answers.
        bundle: Digest of the bundle.
    """

    def __init__(self, app: Any, bundle: str) -> None:
        self.app, self.header = app, (BUNDLE_HEADER.encode(), bundle.encode())

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on, adding the header."""

        async def named(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), self.header]}
            await send(message)

        await self.app(scope, receive, named if scope["type"] == "http" else send)


class OwnBundleName:
    """The same for vLLM (`--middleware`), which makes it itself: the bundle is `VARIABLE`'s."""

    def __init__(self, app: Any) -> None:
        self.named = BundleName(app, os.environ[VARIABLE])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on, adding the header."""
        await self.named(scope, receive, send)
