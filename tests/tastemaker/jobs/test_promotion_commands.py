"""The verbs of promotions, as somebody types them."""

from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from tastemaker.core.errors import ConfigError, NotFound, PromotionError
from tastemaker.core.home import Home
from tastemaker.jobs import promotion_commands
from tastemaker.promotion import evidence
from tastemaker.promotion.environment import get_live, get_pins
from tastemaker.promotion.model_file import Live
from tastemaker.promotion.promote import promote_set
from tastemaker.promotion.repository import open_repository
from tests.tastemaker.promotion.shop import make_bundle, make_set, signed, signed_set

app = typer.Typer()
promotion_commands.add_to(app)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home.open(str(tmp_path_factory.mktemp("commands") / "home"))
    live = make_set(home)
    promote_set(home, "local", live, signed_set(home, live))
    return home


def call(home: Home, *words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"TASTEMAKER_HOME": str(home.root)})


def said(home: Home, *words: str) -> str:
    done = call(home, *words)
    assert done.exception is None, done.exception
    return done.output


def judged(home: Home, salt: str, **more: object) -> Live:
    """A router with evidence in the home."""
    now = get_live(home, "local", "router")
    live = Live(make_bundle(home, "router", now.space, salt), now.dataset, now.space)
    evidence.keep(home, signed(home, "router", live, now.bundle, **more))  # type: ignore[arg-type]
    return live


def test_from_promotion_to_rollback(home: Home) -> None:
    before, live = get_live(home, "local", "router"), judged(home, "b")
    assert "promoted by commit" in said(home, "promote", live.bundle, "--to", "local")
    assert "is live already" in said(home, "promote", live.bundle, "--to", "local")
    told = said(home, "history", "router").splitlines()
    assert f"{live.bundle} over {live.dataset}" in told[0]
    assert told[1] == f"    {live.bundle}: hr 0.3"
    assert before.bundle in said(home, "rollback", "router", "--why", "slow")
    assert get_live(home, "local", "router") == before
    assert "Roll back router of local" in said(home, "history", "router", "--limit", "1")


def test_a_canary_and_a_branch(home: Home) -> None:
    live = judged(home, "c")
    pushed = said(home, "promote", live.bundle, "--to", "local", "--branch")
    assert f"pushed to branch promote/local-router-{live.bundle[:8]}" in pushed
    said(home, "promote", live.bundle, "--to", "local", "--canary", "10")
    canary = get_pins(home, "local", "router").canary
    assert canary
    assert (canary.bundle, canary.weight) == (live.bundle, 10)
    said(home, "rollback", "router")
    assert get_pins(home, "local", "router").canary is None


def test_what_cannot_be_promoted_is_said(home: Home) -> None:
    assert isinstance(call(home, "promote", "e" * 16, "--to", "local").exception, NotFound)
    failed = judged(home, "failed", passed=False)
    done = call(home, "promote", failed.bundle, "--to", "local")
    assert isinstance(done.exception, NotFound)
    assert "did not pass the gates of 'local': floor:hr" in str(done.exception)
    done = call(home, "promote", failed.bundle, "--to", "staging")
    assert "there is some for local" in str(done.exception)
    good = judged(home, "good")
    done = call(home, "promote", good.bundle, "--to", "local", "--canary", "80")
    assert isinstance(done.exception, PromotionError)
    digest = evidence.keep(home, signed(home, "router", good))
    done = call(home, "promote", "f" * 16, "--to", "local", "--evidence", digest)
    assert isinstance(done.exception, ConfigError)


def test_two_environments_are_compared(home: Home) -> None:
    assert call(home, "diff", "local", "local").exit_code == 0
    unknown = call(home, "diff", "lokal", "stagging")
    assert isinstance(unknown.exception, NotFound)
    assert "'lokal' and 'stagging'" in str(unknown.exception)
    done = call(home, "diff", "local", "staging")
    assert done.exit_code == 1
    assert "(nothing)" in done.output


def test_a_range_is_verified_as_ci_does(home: Home) -> None:
    git = open_repository(home).git
    first = git.commits("main")[-1]
    folder = ("--repository", str(git.folder))
    assert "commits checked" in said(home, "verify-promotions", f"{first}..main", *folder)
    path = "manifests/models/local/router.yaml"
    text = (git.read("main", path) or "").replace(
        get_live(home, "local", "router").bundle, "e" * 16
    )
    bad = git.commit(git.resolve("main"), {path: text}, "Trust me\n")
    done = call(home, "verify-promotions", f"main..{bad}", *folder)
    assert isinstance(done.exception, PromotionError)
    assert f"commit {bad[:12]}: router {'e' * 16} to local" in str(done.exception)
    unknown = call(home, "verify-promotions", "main..nowhere", *folder)
    assert isinstance(unknown.exception, ConfigError)
    assert "'nowhere' is none" in str(unknown.exception)


def test_another_key_is_trusted_by_a_commit(home: Home, tmp_path: Path) -> None:
    env = {"TASTEMAKER_HOME": str(tmp_path), "TASTEMAKER_GIT": str(open_repository(home).remote)}
    done = CliRunner().invoke(app, ["trust", "other"], env=env)
    assert "trusted since commit" in done.output, done.exception
    git = open_repository(home).git
    assert "manifests/keys/other.pub" in git.files(git.resolve("main"), "manifests/keys")
    taken = CliRunner().invoke(app, ["trust", "home"], env=env)
    assert isinstance(taken.exception, PromotionError)
