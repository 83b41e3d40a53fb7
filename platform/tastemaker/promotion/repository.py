"""The promotion repository: which bundle is live where, and whose evidence counts.

manifests/models/<env>/<model>.yaml   the model files
manifests/keys/<name>.pub             public keys that evidence may be signed with
manifests/gates.yaml                  whose thresholds count in which environment

`TASTEMAKER_GIT` names a remote (a bare clone of it lies in the home, below `run/git/`); without it
the repository is the home's own, `git/manifests.git`, which is made at first use and checks what
is pushed to it. `TASTEMAKER_GIT_BRANCH` is the branch that says what is live, `main` by default.
"""

import fcntl
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tastemaker.core import digests
from tastemaker.core.errors import ConfigError, GitError
from tastemaker.core.home import Home, write_text
from tastemaker.promotion import signing
from tastemaker.promotion.git import Git, check_branch, check_remote, without_credentials

SETTING = "TASTEMAKER_GIT"
BRANCH_SETTING = "TASTEMAKER_GIT_BRANCH"
MODELS_FOLDER = "manifests/models"
KEYS_FOLDER = "manifests/keys"
GATES_FILE = "manifests/gates.yaml"

LEFT_S = 60.0  # Git holds its locks for milliseconds
_LOCK_S = 300.0  # for another promotion of this machine to end
_POLL_S = 0.05
_CONFIG = """\
[core]
\trepositoryformatversion = 0
\tbare = true
\tfsync = committed
[receive]
\tfsckObjects = true
\tautogc = false
[gc]
\tauto = 0
"""


@dataclass(frozen=True)
class Repository:
    """Where promotions are pushed to, and where their commits are made.

    Attributes:
        git: A bare repository on this machine.
        remote: What is pushed to; the same one where it is the home's own.
        branch: Says what is live.
        locks: Folder of the locks between processes of this machine.
    """

    git: Git
    remote: str
    branch: str
    locks: Path

    @property
    def name(self) -> str:
        """For people: the address without credentials."""
        return f"{without_credentials(self.remote)} ({self.branch})"

    @property
    def is_local(self) -> bool:
        """Whether looking at it costs nothing but a read of this disk."""
        return "://" not in self.remote and Path(self.remote).is_dir()

    def fetch(self, timeout_s: float | None = None) -> str:
        """The commit that the branch is at now, with all its history; empty: no such branch.

        Args:
            timeout_s: For a remote's answer; default: that of `Git.fetch`.

        Raises:
            GitError: The remote does not answer.
        """
        return self.at(self.branch, timeout_s)

    def at(self, branch: str, timeout_s: float | None = None) -> str:
        """The commit of any branch, as `fetch`."""
        if self.remote == str(self.git.folder):
            return self.git.resolve(f"refs/heads/{branch}")
        with held(self.locks / "fetch.lock"):
            self._forget_left_locks()
            return self.git.fetch(self.remote, branch, timeout_s)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One promotion of this machine at a time; those of others are told by the push.

        Raises:
            GitError: Another one is at it for minutes.
        """
        with held(self.locks / "promote.lock"):
            self._forget_left_locks()
            yield

    def _forget_left_locks(self) -> None:
        """Git that was killed in the act leaves its lock, which would stop all that come after."""
        folder, now = self.git.folder, time.time()
        for lock in (*folder.glob("*.lock"), *folder.glob("refs/heads/**/*.lock")):
            with suppress(FileNotFoundError):
                if now - lock.stat().st_mtime > LEFT_S:
                    lock.unlink()


@contextmanager
def held(file: Path) -> Iterator[None]:
    """A lock between processes of this machine; it ends with the process that holds it.

    Raises:
        GitError: Another one holds it for minutes.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + _LOCK_S
    with file.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise GitError(f"another process holds {file} for {_LOCK_S:.0f} s") from None
                time.sleep(_POLL_S)
        yield


def path_of(environment: str, model: str) -> str:
    """A model's file in the repository."""
    return f"{MODELS_FOLDER}/{environment}/{model}.yaml"


def is_there(home: Home) -> bool:
    """Whether a repository is named, made, or has something to be made from."""
    if os.environ.get(SETTING):
        return True
    return not home.store and (_own(home).is_dir() or _before(home).is_dir())


def open_repository(home: Home) -> Repository:
    """The repository that a home's promotions go to; its own is made where it is missing.

    Raises:
        ConfigError: A setting is no address or branch, or the home is on S3 and none is named.
        GitError: It could not be made.
    """
    branch = check_branch(BRANCH_SETTING, os.environ.get(BRANCH_SETTING) or "main")
    locks = home.root / "run" / "git"
    if given := os.environ.get(SETTING):
        remote = check_remote(SETTING, given)
        if "://" not in remote and ":" not in remote.partition("/")[0]:
            remote = str(Path(remote).expanduser().resolve())
        return Repository(_clone(home, remote), remote, branch, locks)
    if home.store:
        raise ConfigError(
            f"TASTEMAKER_HOME={home.location!r} holds no Git repository: set {SETTING} to the "
            "address of the one that says what is live"
        )
    folder = _own(home)
    if not folder.is_dir():
        _make_own(home, branch)
    _keep_hook(folder, branch)
    return Repository(Git(folder), str(folder), branch, locks)


def _own(home: Home) -> Path:
    return home.root / "git" / "manifests.git"


def _before(home: Home) -> Path:
    """Model files of a home that was made before promotions were commits."""
    return home.root / "manifests" / "models"


def _clone(home: Home, remote: str) -> Git:
    """An empty bare repository for a remote, made at once; `fetch` fills it."""
    folder = home.root / "run" / "git" / f"{digests.of_bytes([remote.encode()])}.git"
    if not folder.is_dir():
        with home.staging() as staging:
            made = _bare(staging / "clone.git", "main")
            home.path("run", "git", "x")
            _put(made, folder)
    return Git(folder)


def _make_own(home: Home, branch: str) -> None:
    """The home's own repository: the home's key is trusted, and what was live stays live."""
    public = signing.private_key(home).public_key()
    files = {f"{KEYS_FOLDER}/home.pub": signing.public_pem(public), **_files_before(home)}
    with home.staging() as staging:
        made = _bare(staging / "manifests.git", branch)
        _keep_hook(made, branch)
        git = Git(made)
        commit = git.commit("", files, _first_message(files))
        git.run("update-ref", f"refs/heads/{branch}", commit)
        home.path("git", "x")
        _put(made, _own(home))


def _files_before(home: Home) -> dict[str, str]:
    found = sorted(_before(home).glob("*/*.yaml"))
    return {f"{MODELS_FOLDER}/{path.parent.name}/{path.name}": path.read_text() for path in found}


def _first_message(files: Mapping[str, str]) -> str:
    if len(files) == 1:
        return "Trust the key of this home\n"
    return (
        "Trust the key of this home, and keep what is live\n\n"
        "The model files are those that the home had before promotions were commits; what they "
        "name has no evidence.\n"
    )


def _bare(folder: Path, branch: str) -> Path:
    git = Git(folder)
    git.run("init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}")
    (folder / "config").write_text(_CONFIG)
    return folder


def _put(made: Path, target: Path) -> None:
    """Move a finished repository into place; where another process was first, its one stays."""
    try:
        made.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _keep_hook(folder: Path, branch: str) -> None:
    """The check of what is pushed, by this interpreter: the one that made it may be gone."""
    hook = folder / "hooks" / "pre-receive"
    command = f'"{sys.executable}" -P -m tastemaker.promotion.pre_receive --branch {branch}'
    text = f"#!/bin/sh\nexec {command}\n"
    if hook.is_file() and hook.read_text() == text and os.access(hook, os.X_OK):
        return
    staged = hook.with_name(f"pre-receive.{os.getpid()}")
    write_text(staged, text)
    staged.chmod(0o755)
    staged.replace(hook)
