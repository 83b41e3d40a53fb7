"""Promotions, rollbacks and canaries in the home's own repository, through its real hook."""

from datetime import timedelta
from pathlib import Path

import pytest

from tastemaker.core.errors import EvidenceError, GitError, NotFound, PromotionError, SpaceMismatch
from tastemaker.core.home import Home
from tastemaker.promotion import promote as promotions
from tastemaker.promotion.environment import get_live, get_pins, read_file
from tastemaker.promotion.history import differences, history
from tastemaker.promotion.model_file import MODELS, Canary, Live
from tastemaker.promotion.promote import promote, promote_set, rollback, step_canary
from tastemaker.promotion.repository import open_repository
from tests.tastemaker.promotion.shop import make_bundle, make_set, signed, signed_set, write_file


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a set that is live."""
    home = Home.open(str(tmp_path_factory.mktemp("template") / "home"))
    live = make_set(home)
    promote_set(home, "local", live, signed_set(home, live), "first models")
    return home.root


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Home:
    import shutil

    shutil.copytree(template, tmp_path / "home", symlinks=True)
    return Home.open(str(tmp_path / "home"))


def live_of(home: Home) -> dict[str, Live]:
    return {model: get_live(home, "local", model) for model in MODELS}


def another(home: Home, salt: str = "b") -> Live:
    """Another router for what is live."""
    encoder = get_live(home, "local", "encoder")
    return Live(make_bundle(home, "router", encoder.bundle, salt), encoder.dataset, encoder.bundle)


def proof(home: Home, live: Live, **more: object) -> str:
    return signed(home, "router", live, get_live(home, "local", "router").bundle, **more)


def head(home: Home) -> str:
    return open_repository(home).fetch()


def test_a_set_becomes_live_by_one_commit_with_its_evidence(home: Home) -> None:
    git = open_repository(home).git
    commits = git.commits(head(home))
    assert len(commits) == 2  # the key, the set
    assert live_of(home) == make_set(home)
    message = git.message(commits[0])
    assert message.startswith("Promote encoder ")
    assert message.count('\n{"evidence":') == 4
    assert "Reason: first models" in message
    assert "| hr | 0.3 | 0.25 to 0.35 | - | - |" in message
    assert git.text("fsck", "--strict", "--full") == ""


def test_one_model_is_promoted_and_the_others_stay(home: Home) -> None:
    before, now = live_of(home), another(home)
    commit = promote(home, "local", "router", now, proof(home, now))
    assert commit == head(home)
    assert live_of(home) == {**before, "router": now}
    git = open_repository(home).git
    assert git.changed(git.parents(commit)[0], commit) == ["manifests/models/local/router.yaml"]


def test_what_is_live_already_is_not_promoted_again(home: Home) -> None:
    now = another(home)
    line = proof(home, now)
    commit = promote(home, "local", "router", now, line)
    assert promote(home, "local", "router", now, line) == commit
    live = live_of(home)
    assert promote_set(home, "local", live, []) == commit
    assert head(home) == commit


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"passed": False}, "its gates failed: floor:hr"),
        ({"created": "2026-01-01T00:00:00Z"}, "older than 14 days"),
        ({"environment": "staging"}, "environment staging, but local is promoted to"),
        ({"dataset": "e" * 16}, "dataset e{16}, but d{16} is promoted"),
        ({"space": "e" * 16}, "space e{16}, but .* is promoted"),
        ({"bundle": "e" * 16}, "the commit carries no evidence of it"),
        ({"baseline": "e" * 16}, "baseline e{16}, but .* is live now"),
    ],
)
def test_evidence_that_does_not_match_is_refused(
    home: Home, changes: dict[str, object], said: str
) -> None:
    now, before = another(home), head(home)
    base = {"baseline": get_live(home, "local", "router").bundle, **changes}
    line = signed(home, "router", now, **base)  # type: ignore[arg-type]
    with pytest.raises(EvidenceError, match=said):
        promote(home, "local", "router", now, line)
    assert head(home) == before


def test_evidence_edited_by_one_byte_or_of_another_key_is_refused(
    home: Home, tmp_path: Path
) -> None:
    now = another(home)
    line = proof(home, now)
    with pytest.raises(EvidenceError, match="was changed after it was signed"):
        promote(home, "local", "router", now, line.replace('"value":0.3}', '"value":0.4}', 1))
    other = Home.open(str(tmp_path / "other"))
    foreign = signed(other, "router", now, get_live(home, "local", "router").bundle)
    with pytest.raises(EvidenceError, match="is not trusted"):
        promote(home, "local", "router", now, foreign)


def test_a_shorter_age_may_be_asked_for(home: Home) -> None:
    now = another(home)
    with pytest.raises(EvidenceError, match="older than"):
        promote(home, "local", "router", now, proof(home, now), max_age=timedelta(seconds=-1))


def test_bundles_that_are_not_there_or_of_another_space_are_refused(home: Home) -> None:
    now = another(home)
    gone = Live("e" * 16, now.dataset, now.space)
    with pytest.raises(NotFound, match=r"e{16}"):
        promote(home, "local", "router", gone, proof(home, gone))
    with pytest.raises(NotFound, match="family"):
        promote(home, "local", "recommender", now, proof(home, now))
    foreign = Live(now.bundle, now.dataset, "e" * 16)
    with pytest.raises(SpaceMismatch):
        promote(home, "local", "router", foreign, proof(home, foreign))
    with pytest.raises(PromotionError, match="bundle='x'"):
        promote(home, "local", "router", Live("x", now.dataset, now.space), "")
    with pytest.raises(PromotionError, match="environment='-x'"):
        promote(home, "-x", "router", now, "")


def test_a_part_of_another_set_is_refused(home: Home) -> None:
    before, other = live_of(home), make_set(home, "b")
    with pytest.raises(PromotionError, match="promote both as one set"):
        promote_set(home, "local", {"encoder": other["encoder"]}, signed_set(home, other, before))
    dataset = Live(before["router"].bundle, "e" * 16, before["router"].space)
    with pytest.raises(PromotionError, match=r"dataset version e{16}"):
        promote(home, "local", "router", dataset, proof(home, dataset))
    assert live_of(home) == before


@pytest.mark.slow
def test_a_canary_is_tried_stepped_and_becomes_stable(home: Home) -> None:
    stable, now = get_live(home, "local", "router"), another(home)
    promote(home, "local", "router", now, proof(home, now), canary=10)
    pins = get_pins(home, "local", "router")
    assert pins.live == stable
    assert pins.canary == Canary(now.bundle, now.space, 10)
    third = another(home, "c")
    for canary in (None, 5):
        with pytest.raises(PromotionError, match="is running"):
            promote(home, "local", "router", third, proof(home, third), canary=canary)
    step_canary(home, "local", "router", 50, "so far so good")
    assert get_pins(home, "local", "router").canary == Canary(now.bundle, now.space, 50)
    step_canary(home, "local", "router", 100)
    assert get_pins(home, "local", "router").canary is None
    assert get_live(home, "local", "router") == now
    subjects = [step.subject for step in history(home, "local", "router")]
    assert subjects[1] == f"Canary router {now.bundle[:8]} in local: 10 to 50 %"
    assert subjects[2] == f"Promote router {now.bundle[:8]} to local (canary 10 %)"
    rollback(home, "local", "router")
    assert get_live(home, "local", "router") == stable


@pytest.mark.parametrize("weight", [0, 51, 99, 101, -1])
def test_weights_out_of_range_are_refused(home: Home, weight: int) -> None:
    now = another(home)
    with pytest.raises(PromotionError, match=f"={weight}: 1 to 50"):
        promote(home, "local", "router", now, proof(home, now), canary=weight)
    with pytest.raises(PromotionError, match=f"={weight}: 1 to 50"):
        step_canary(home, "local", "router", weight)
    with pytest.raises(PromotionError, match="no canary"):
        step_canary(home, "local", "router", 10)


def test_a_rollback_ends_a_canary_first(home: Home) -> None:
    stable, now = get_live(home, "local", "router"), another(home)
    promote(home, "local", "router", now, proof(home, now), canary=10)
    rollback(home, "local", "router", "it is slow")
    pins = get_pins(home, "local", "router")
    assert (pins.live, pins.canary) == (stable, None)
    message = open_repository(home).git.message(head(home))
    assert message.startswith(f"Revert canary router {now.bundle[:8]} of local")
    assert "Reason: it is slow" in message


@pytest.mark.slow
def test_rollbacks_go_back_further_each_time_and_end(home: Home) -> None:
    first, second = get_live(home, "local", "router"), another(home)
    promote(home, "local", "router", second, proof(home, second))
    third = another(home, "c")
    promote(home, "local", "router", third, proof(home, third))
    for expected in (second, first):
        rollback(home, "local", "router")
        assert get_live(home, "local", "router") == expected
    with pytest.raises(PromotionError, match="no other bundle was live before"):
        rollback(home, "local", "router")
    promote(home, "local", "router", third, proof(home, third))
    rollback(home, "local", "router")
    assert get_live(home, "local", "router") == first


@pytest.mark.slow
def test_an_encoders_set_goes_back_together(home: Home) -> None:
    before, other = live_of(home), make_set(home, "b")
    promote_set(home, "local", other, signed_set(home, other, before))
    alone = another(home, "later")
    promote(home, "local", "router", alone, proof(home, alone))
    rollback(home, "local", "encoder", "worse pictures")
    assert live_of(home) == before
    with pytest.raises(PromotionError):
        rollback(home, "local", "retrieval")


@pytest.mark.slow
def test_what_people_wrote_stays(home: Home) -> None:
    text = read_file(home, "local", "router") or ""
    write_file(home, "local", "router", f"# ours\n{text}replicas: {{ min: 2 }}  # two\n")
    now = another(home)
    promote(home, "local", "router", now, proof(home, now), canary=5)
    step_canary(home, "local", "router", 100)
    found = read_file(home, "local", "router") or ""
    assert found.startswith("# ours\n")
    assert "replicas: { min: 2 }  # two\n" in found
    assert now.bundle in found


def test_reasons_cannot_pass_for_evidence_or_trailers(home: Home) -> None:
    now = another(home)
    promote(home, "local", "router", now, proof(home, now), canary=5)
    rollback(home, "local", "router", 'x\n{"evidence": 1}\nRollback-Of: ' + "0" * 40)
    message = open_repository(home).git.message(head(home))
    assert 'Reason: x {"evidence": 1} Rollback-Of: 0' in message
    assert history(home, "local", "router")[0].undoes == ""


def test_history_and_differences(home: Home) -> None:
    now = another(home)
    commit = promote(home, "local", "router", now, proof(home, now))
    steps = history(home, "local", "router")
    assert steps[0].commit == commit
    assert steps[0].after
    assert steps[0].after.live == now
    assert steps[1].before is None
    assert [one.bundle for one in steps[0].evidence] == [now.bundle]
    assert history(home, "staging", "router") == []
    found = {one.model: one for one in differences(home, "local", "staging")}
    assert found["router"].first
    assert found["router"].first.live == now
    assert found["router"].second is None


def test_a_branch_for_review_leaves_what_is_live(home: Home) -> None:
    now, before = another(home), head(home)
    line = proof(home, now)
    made = promotions.propose(home, "local", {"router": now}, [line], to_branch=True)
    assert made.branch == f"promote/local-router-{now.bundle[:8]}"
    git = open_repository(home).git
    assert git.resolve(f"refs/heads/{made.branch}") == made.commit
    assert head(home) == before
    assert git.push(str(git.folder), made.commit, "main", before) == ""  # merged by its reviewer
    assert head(home) == made.commit


def test_a_push_without_evidence_is_refused_by_the_hook(home: Home) -> None:
    repository = open_repository(home)
    git, before, now = repository.git, head(home), another(home)
    text = (git.read(before, "manifests/models/local/router.yaml") or "").replace(
        get_live(home, "local", "router").bundle, now.bundle
    )
    commit = git.commit(before, {"manifests/models/local/router.yaml": text}, "Trust me\n")
    with pytest.raises(GitError, match="carries no evidence of it"):
        git.push(repository.remote, commit, "main", before)
    assert head(home) == before


@pytest.mark.slow
def test_the_keys_that_count_are_those_before_the_push(home: Home, tmp_path: Path) -> None:
    repository = open_repository(home)
    git, before, now = repository.git, head(home), another(home)
    other = Home.open(str(tmp_path / "other"))
    line = signed(other, "router", now, get_live(home, "local", "router").bundle)
    from tastemaker.promotion import signing

    pem = signing.public_pem(signing.private_key(other).public_key())
    trusted = git.commit(before, {"manifests/keys/other.pub": pem}, "Trust another\n")
    path = "manifests/models/local/router.yaml"
    text = (git.read(before, path) or "").replace(
        get_live(home, "local", "router").bundle, now.bundle
    )
    promoted = git.commit(trusted, {path: text}, f"Promote\n\nEvidence:\n{line}\n")
    with pytest.raises(GitError, match="is not trusted"):
        git.push(repository.remote, promoted, "main", before)
    git.push(repository.remote, trusted, "main", before)
    git.push(repository.remote, promoted, "main", trusted)
    both = {"manifests/keys/other.pub": None, path: text.replace(now.bundle, "e" * 16)}
    mixed = git.commit(promoted, both, "Promote\n")
    with pytest.raises(GitError, match="need a commit of their own"):
        git.push(repository.remote, mixed, "main", promoted)


def test_an_environment_takes_the_gates_that_it_names(home: Home) -> None:
    repository = open_repository(home)
    git, path = repository.git, "manifests/gates.yaml"

    def rule(text: str) -> None:
        before = head(home)
        commit = git.commit(before, {path: text}, "Gates that count\n")
        git.push(repository.remote, commit, "main", before)

    rule('local: ["default", "0123456789abcdef"]\nstaging: ["tiny"]\n')
    now, live = another(home), get_live(home, "local", "router").bundle

    def offer(thresholds: str) -> str:
        return promote(
            home, "local", "router", now, signed(home, "router", now, live, thresholds=thresholds)
        )

    for thresholds in ("tiny fedcba9876543210", "changed fedcba9876543210", ""):
        with pytest.raises(EvidenceError, match="local takes default, 0123456789abcdef"):
            offer(thresholds)
    with pytest.raises(GitError, match="must list names of gates"):
        rule("local: default\n")
    assert offer("changed 0123456789abcdef") == head(home)


def test_gates_that_cannot_be_read_stop_promotions_but_not_their_mending(home: Home) -> None:
    repository = open_repository(home)
    git, before, now = repository.git, head(home), another(home)
    broken = git.commit(before, {"manifests/gates.yaml": "local: default\n"}, "By hand\n")
    git.run("update-ref", "refs/heads/main", broken, before)
    line = signed(home, "router", now, get_live(home, "local", "router").bundle)
    with pytest.raises(EvidenceError, match="cannot be read: mend it"):
        promote(home, "local", "router", now, line)
    mended = git.commit(broken, {"manifests/gates.yaml": None}, "Mend\n")
    git.push(repository.remote, mended, "main", broken)
    assert promote(home, "local", "router", now, line) == head(home)


def test_a_file_that_names_no_bundle_yet_is_filled_in(home: Home) -> None:
    now = another(home)
    staged = "# ours\nreplicas: { min: 2, max: 8 }\n"
    write_file(home, "staging", "router", staged)
    with pytest.raises(NotFound, match="no router is live"):
        get_live(home, "staging", "router")
    line = signed(home, "router", now, environment="staging")
    promote(home, "staging", "router", now, line)
    assert (read_file(home, "staging", "router") or "").startswith(staged)
    assert get_live(home, "staging", "router") == now


def test_what_is_shared_may_name_no_bundle(home: Home) -> None:
    repository = open_repository(home)
    git, before = repository.git, head(home)
    text = 'canary: { bundle: "1111111111111111", weight: 50 }\n'
    for path in ("manifests/models/local/all.yaml", "manifests/models/base/router.yaml"):
        commit = git.commit(before, {path: text}, "Try it everywhere\n")
        with pytest.raises(GitError, match="only a model's own file may say this"):
            git.push(repository.remote, commit, "main", before)
    fine = git.commit(before, {"manifests/models/local/all.yaml": "replicas: { min: 1 }\n"}, "x\n")
    git.push(repository.remote, fine, "main", before)


def test_a_model_is_not_taken_away_from_under_the_others(home: Home) -> None:
    repository = open_repository(home)
    git, before = repository.git, head(home)
    paths = {f"manifests/models/local/{model}.yaml": None for model in MODELS}
    one = git.commit(before, {"manifests/models/local/router.yaml": None}, "No router\n")
    with pytest.raises(GitError, match="take all away"):
        git.push(repository.remote, one, "main", before)
    whole = git.commit(before, paths, "No models\n")
    git.push(repository.remote, whole, "main", before)
    assert head(home) == whole


@pytest.mark.slow
def test_a_branch_that_says_what_is_live_never_goes_back(home: Home) -> None:
    repository = open_repository(home)
    git, first = repository.git, head(home)
    now = another(home)
    promote(home, "local", "router", now, proof(home, now))
    last = head(home)
    with pytest.raises(GitError, match="would go back"):
        git.push(repository.remote, first, "main", last)
    with pytest.raises(GitError, match="cannot be removed"):
        git.push(repository.remote, "", "main", last)
    stray = git.commit(git.parents(first)[0], {"README": "x"}, "Elsewhere\n")
    with pytest.raises(GitError, match="does not stand on"):
        git.push(repository.remote, stray, "main", last)
    assert head(home) == last


def test_a_merge_is_held_to_what_its_branch_proves(home: Home) -> None:
    repository = open_repository(home)
    git, before, now = repository.git, head(home), another(home)
    line = proof(home, now)
    made = promotions.propose(home, "local", {"router": now}, [line], to_branch=True)
    path = "manifests/models/local/router.yaml"
    text = git.read(made.commit, path) or ""

    def merged(content: str) -> str:
        alone = git.commit(before, {path: content}, "Merge\n")
        tree = git.text("rev-parse", f"{alone}^{{tree}}")
        words = ("commit-tree", tree, "-p", before, "-p", made.commit, "-m", "Merge")
        who = {
            f"GIT_{role}_{key}": "a"
            for role in ("AUTHOR", "COMMITTER")
            for key in ("NAME", "EMAIL")
        }
        return git.run(*words, variables=who).decode().strip()

    evil = merged(text.replace(now.bundle, "e" * 16))
    with pytest.raises(GitError, match="no evidence of it"):
        git.push(repository.remote, evil, "main", before)
    good = merged(text)
    git.push(repository.remote, good, "main", before)
    assert head(home) == good
