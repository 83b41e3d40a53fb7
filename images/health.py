"""Health of a running container, for `HEALTHCHECK`: standard library only.

    TASTEMAKER_HEALTH_URL=http://127.0.0.1:8080/v2/health/ready python health.py

A server's image names the path that answers 200 once it can serve. A job's image names none: a job
has no port, and what can go wrong around it is a folder that it cannot write to.
"""

import os
import sys
import tempfile
import urllib.error
import urllib.request

TIMEOUT_S = 4.0


def fault(url: str, folders: tuple[str, ...]) -> str:
    """What is wrong; empty: nothing.

    Args:
        url: Address to ask; empty for a job.
        folders: What a job must be able to write to.
    """
    if not url:
        for folder in folders:
            try:
                with tempfile.TemporaryFile(dir=folder):
                    pass
            except OSError as error:
                return f"{folder}: {error}"
        return ""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S):
            return ""
    except (urllib.error.URLError, OSError) as error:
        return f"{url}: {error}"


if __name__ == "__main__":
    found = fault(os.environ.get("TASTEMAKER_HEALTH_URL", ""), ("/tmp", os.environ["HOME"]))
    sys.stderr.write(found + "\n" if found else "")
    raise SystemExit(1 if found else 0)
