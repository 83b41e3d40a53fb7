"""What should run now: read from the files, in a way that does not hold requests up."""

import asyncio
import json
import subprocess
import sys

from tastemaker.core import digests
from tastemaker.core.errors import ServiceError, TastemakerError
from tastemaker.core.home import Home
from tastemaker.serving.asked import Asked
from tastemaker.serving.model_services import contents
from tastemaker.serving.services import Service, from_json

_READ_S = 120.0  # to render and check the model files


async def read(home: Home, asked: Asked) -> list[Service]:
    """The services that are wanted now.

    Rendering and checking take half a second of a core, in a process of their own: requests go
    through this one meanwhile.

    Args:
        home: Where the bundles lie.
        asked: Which environment, or which services.

    Raises:
        ServiceError: The model files are refused, with the message that a cluster would give.
    """
    if asked.services is not None:
        return list(asked.services)
    command = [sys.executable, "-m", "tastemaker.serving.model_services", "--home", home.location]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, timeout=_READ_S
    )
    if done.returncode != 0:
        begun = done.stderr.find("error: ")
        raise ServiceError(done.stderr[begun:].removeprefix("error: ").strip()[-2000:])
    return from_json(json.loads(done.stdout))


def fingerprint(home: Home) -> str:
    """Digest of the files that say what is wanted."""
    asked = home.path("run", "asked.json").read_text()
    try:
        files = contents(home, Asked.read(home).environment)
    except (TastemakerError, OSError) as error:  # a change too: its outcome is a refusal
        files = [str(error)]
    return digests.of_bytes(text.encode() for text in (asked, *files))
