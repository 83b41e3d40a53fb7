"""Git by its plumbing commands, in a bare repository, apart from anybody's configuration.

No work tree, no index that is shared, no hook of the caller: a commit is made of objects that
nobody sees until a reference moves, so a process that is killed leaves the repository whole.
"""

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tastemaker.core.errors import ConfigError, GitError

LOCAL_S = 60.0  # for a command that reads and writes this disk
NETWORK_S = 120.0  # for fetch and push, a server's hooks included
NOBODY = "0" * 40  # Git's name for "no commit"

_KEPT = {  # how a server is reached; everything else of Git's environment is somebody else's
    "GIT_ASKPASS",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
}
_OF_HOOK = {"GIT_QUARANTINE_PATH", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"}
_SETTINGS = ("-c", "gc.auto=0", "-c", "maintenance.auto=false")  # nothing runs on behind us
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_MOVED = re.compile(
    r"stale info|fetch first|non-fast-forward|failed to update ref|lock ref|old value"
)


class Moved(GitError):
    """The branch is no longer where it was when the commit was made."""


@dataclass(frozen=True)
class Git:
    """A bare repository on this machine."""

    folder: Path

    def run(
        self,
        *words: str,
        stdin: bytes = b"",
        timeout_s: float = LOCAL_S,
        variables: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run one command.

        Args:
            words: The command and its arguments.
            stdin: What it reads.
            timeout_s: It and all that it started is killed then.
            variables: More of its environment.

        Returns:
            What it printed.

        Raises:
            GitError: It failed or took too long; with its message, without credentials.
        """
        done = self._completed(words, stdin, timeout_s, variables or {})
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
            raise GitError(f"git {words[0]}: {without_credentials(said)}")
        return done.stdout

    def text(self, *words: str) -> str:
        """What a command prints, without the last line end."""
        return self.run(*words).decode(errors="replace").rstrip("\n")

    def resolve(self, name: str) -> str:
        """The commit that a reference or an id names; empty: there is none."""
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        done = self._completed(words, b"", LOCAL_S, {})
        return done.stdout.decode().strip() if done.returncode == 0 else ""

    def read(self, commit: str, path: str) -> str | None:
        """A file as it is in a commit; None: it is not there, or not a file."""
        return _content(self, commit, path) if commit else None

    def files(self, commit: str, folder: str) -> dict[str, str]:
        """Mode and path of everything below a folder of a commit: mode by path."""
        listed = self.run("ls-tree", "-r", "-z", commit, "--", f"{folder}/").decode()
        rows = [row.partition("\t") for row in listed.split("\0") if row]
        return {path: head.split(" ")[0] for head, _, path in rows}

    def changed(self, before: str, after: str) -> list[str]:
        """Paths that differ between two commits; `before` may be empty."""
        if not before:
            listed = self.run("ls-tree", "-r", "-z", "--name-only", after)
        else:
            words = ("diff-tree", "-r", "-z", "--no-renames", "--name-only", before, after)
            listed = self.run(*words)
        return [path for path in listed.decode(errors="surrogateescape").split("\0") if path]

    def parents(self, commit: str) -> list[str]:
        """Parents of a commit, the first one first."""
        return self.text("rev-list", "--parents", "--max-count=1", commit).split(" ")[1:]

    def message(self, commit: str) -> str:
        """The whole message of a commit."""
        raw = self.run("cat-file", "commit", commit).decode(errors="surrogateescape")
        return raw.partition("\n\n")[2]

    def commits(self, *words: str) -> list[str]:
        """Ids that `rev-list` prints, newest first."""
        return self.text("rev-list", *words).split()

    def commit(self, parent: str, files: Mapping[str, str | None], message: str) -> str:
        """Make a commit that no reference names yet.

        Args:
            parent: What it stands on; empty: nothing.
            files: New content by path; None removes the file.
            message: All of it.

        Returns:
            Its id.
        """
        lines = []
        for path, text in files.items():
            if text is None:
                lines.append(f"0 {NOBODY}\t{path}")
                continue
            blob = self.run("hash-object", "-w", "--stdin", stdin=text.encode()).decode().strip()
            lines.append(f"100644 {blob}\t{path}")
        with tempfile.TemporaryDirectory() as folder:  # an index that nobody else has
            index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            if parent:
                self.run("read-tree", parent, variables=index)
            stdin = "".join(f"{line}\n" for line in lines).encode()
            self.run("update-index", "--index-info", stdin=stdin, variables=index)
            tree = self.run("write-tree", variables=index).decode().strip()
        words = ("commit-tree", tree, *(("-p", parent) if parent else ()))
        return self.run(*words, stdin=message.encode(), variables=_who()).decode().strip()

    def fetch(self, remote: str, branch: str, timeout_s: float | None = None) -> str:
        """Bring a branch of a remote here; returns its commit, empty where it has none.

        Args:
            remote: URL or path.
            branch: Which.
            timeout_s: For an answer; default: `NETWORK_S`.

        Raises:
            GitError: It does not answer.
        """
        ref = f"refs/heads/{branch}"
        words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", remote)
        try:
            self.run(*words, f"+{ref}:{ref}", timeout_s=timeout_s or NETWORK_S)
        except GitError as error:
            if "couldn't find remote ref" in str(error):
                return ""
            raise
        return self.resolve(ref)

    def push(self, remote: str, commit: str, branch: str, expected: str) -> str:
        """Move a branch of a remote to a commit, if it is still where it was.

        Args:
            remote: URL or path.
            commit: Stands on `expected`.
            branch: Which.
            expected: Where the branch must be; empty: it must not exist.

        Returns:
            What the remote said, such as the address of a pull request.

        Raises:
            Moved: It is elsewhere.
            GitError: The remote refuses it, in its own words, or does not answer.
        """
        ref = f"refs/heads/{branch}"
        words = ("push", "--porcelain", f"--force-with-lease={ref}:{expected}", "--", remote)
        done = self._completed((*words, f"{commit}:{ref}"), b"", NETWORK_S, {})
        told = done.stderr.decode(errors="replace")
        said = "\n".join(
            line.removeprefix("remote:").strip()
            for line in told.splitlines()
            if line.startswith("remote:")
        ).strip()
        if done.returncode == 0:
            return without_credentials(said)
        status = [line for line in done.stdout.decode().splitlines() if line.startswith("!")]
        if status and _MOVED.search(status[0]):
            raise Moved(f"branch {branch} moved meanwhile")
        raise GitError(
            "the repository refused the push: " + without_credentials(said or told.strip())
        )

    def _completed(
        self, words: tuple[str, ...], stdin: bytes, timeout_s: float, more: Mapping[str, str]
    ) -> subprocess.CompletedProcess[bytes]:
        command = ["git", *_SETTINGS, f"--git-dir={self.folder}", *words]
        try:
            process = subprocess.Popen(
                command,
                env={**environment(), **more},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # its ssh and its pack-objects end with it
            )
        except FileNotFoundError:
            raise ConfigError("promotions need the program `git`, which is not installed") from None
        try:
            out, err = process.communicate(stdin, timeout_s)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise GitError(f"git {words[0]}: no answer in {timeout_s:.0f} s") from None
            raise
        return subprocess.CompletedProcess(command, process.returncode, out, err)


@lru_cache(maxsize=4096)  # what a commit holds never changes
def _content(git: Git, commit: str, path: str) -> str | None:
    done = git._completed(("cat-file", "blob", f"{commit}:{path}"), b"", LOCAL_S, {})
    return done.stdout.decode(errors="surrogateescape") if done.returncode == 0 else None


def environment() -> dict[str, str]:
    """The environment of every Git command: of the caller's only how servers are reached."""
    kept = _KEPT | (_OF_HOOK if "GIT_QUARANTINE_PATH" in os.environ else set())
    own = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k in kept}
    return {
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",  # ask nobody
        **own,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
        "LC_ALL": "C",
    }


def check_remote(name: str, url: str) -> str:
    """Refuse what Git would not read as an address.

    Args:
        name: The setting, for messages.
        url: Its value.

    Raises:
        ConfigError: Empty, an option, or a transport that runs commands.
    """
    if not url or url.startswith("-") or "::" in url or not url.isprintable():
        raise ConfigError(
            f"{name}={without_credentials(url)!r}: must be a path or a file, ssh, git, http or "
            "https address of a Git repository"
        )
    return url


def check_branch(name: str, branch: str) -> str:
    """Refuse what is not the name of a branch.

    Raises:
        ConfigError: With the rule.
    """
    bad = not _BRANCH.fullmatch(branch) or ".." in branch or branch.endswith(("/", ".", ".lock"))
    if bad or "//" in branch:
        raise ConfigError(
            f"{name}={branch!r}: a branch is letters, digits and ._/-, the first a letter or digit"
        )
    return branch


def without_credentials(text: str) -> str:
    """A message or an address without user and password."""
    return _CREDENTIALS.sub("", text)


def _who() -> dict[str, str]:
    """Who made a commit: the account, never what Git is configured to say."""
    account = re.sub(r"[^\w.-]", "", os.environ.get("USER") or os.environ.get("LOGNAME") or "")
    name = account or "tastemaker"
    made = {"AUTHOR_NAME": name, "AUTHOR_EMAIL": f"{name}@tastemaker.invalid"}
    made |= {"COMMITTER_NAME": "tastemaker", "COMMITTER_EMAIL": "tastemaker@tastemaker.invalid"}
    return {f"GIT_{key}": value for key, value in made.items()}
