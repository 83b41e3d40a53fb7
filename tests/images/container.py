"""What a container runtime does to a process, by namespaces: no Docker needed, but root."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
# As the image: the whole root read-only, /tmp and the home the only places to write, no rights.
SCRIPT = """
set -eu
mount --make-rprivate /
mount --bind {venv} /opt
mount -t tmpfs tmpfs /srv; mkdir -p /srv/venv /srv/base
mount --move /opt /srv/venv
mount --bind {base} /srv/base
mount -t tmpfs -o mode=755 tmpfs /root; mkdir -p {base}; mount --bind /srv/base {base}
mount -t tmpfs -o mode=755 tmpfs /opt; mkdir /opt/venv; mount --bind /srv/venv /opt/venv
mount -t tmpfs -o mode=755 tmpfs /home; mkdir /home/tastemaker; chown 10001:10001 /home/tastemaker
mount -t tmpfs -o mode=755 tmpfs /srv
for place in {binds}; do
  mkdir -p "/srv/$(basename $place)"
  mount --bind "$place" "/srv/$(basename $place)"
done
mount -t tmpfs -o mode=1777 tmpfs /tmp
for place in / /opt /opt/venv /srv /root /var/tmp /dev/shm; do
  mountpoint -q $place || mount --bind $place $place
  mount -o remount,bind,ro $place
done
for place in {binds}; do mount -o remount,bind,ro "/srv/$(basename $place)"; done
cd /home/tastemaker
exec setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set -all \\
  -- {command}
"""


def missing() -> str:
    """Why no namespace can be made here; empty: it can."""
    if os.getuid() != 0:
        return "needs root"
    programs = ("unshare", "setpriv", "mountpoint")
    if absent := [name for name in programs if shutil.which(name) is None]:
        return f"needs {', '.join(absent)}"
    tried = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False)
    return "namespaces are not permitted" if tried.returncode else ""


def container(
    venv: Path, command: Sequence[str], environment: dict[str, str], binds: Sequence[Path] = ()
) -> list[str]:
    """Arguments that run a command as in the image.

    Args:
        venv: Environment that appears as /opt/venv.
        command: Program and arguments.
        environment: Its variables, all of them.
        binds: Folders that appear, read-only, below /srv.
    """
    variables = [f"{key}={value}" for key, value in environment.items()]
    inner = SCRIPT.format(
        venv=shlex.quote(str(venv)),
        base=shlex.quote(sys.base_prefix),
        binds=shlex.join(map(str, binds)),
        command=shlex.join(["env", "-i", *variables, *command]),
    )
    unshare = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
    return [*unshare, "sh", "-c", inner]
