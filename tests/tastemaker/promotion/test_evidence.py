"""Evidence: one form, and nothing in it can be edited."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tastemaker.core.errors import EvidenceError, NotFound
from tastemaker.core.home import Home
from tastemaker.promotion import evidence as ev
from tastemaker.promotion.signing import key_id

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
TRUSTED = {key_id(KEY.public_key()): KEY.public_key()}


def judged(**changes: Any) -> ev.Evidence:
    fields: dict[str, Any] = {
        "model": "recommender",
        "family": "sequence",
        "bundle": "00112233445566aa",
        "environment": "local",
        "dataset": "ddddddddddddddd1",
        "space": "eeeeeeeeeeeeeee2",
        "baseline": "bbbbbbbbbbbbbbb3",
        "evaluated_on": {"dataset": "ddddddddddddddd1"},
        "metrics": {
            "test_hr@10": ev.Metric(
                value=0.31, low=0.28, high=0.34, baseline=0.3, gain=0.01, gain_low=-0.002,
                gain_high=0.022, cases=2000, comparison="paired",
            )
        },
        "gates": (
            ev.Gate(name="floor", rule="at least", value=0.31, bound=0.2, passed=True),
            ev.Gate(name="space", rule="same", value="eeeé", bound="eeeé", passed=True),
        ),
        "passed": True,
        "cost": {"judging_s": 12.5},
        "run": "run-1",
        "code_version": "0.5.0",
        "report": "fffffffffffffff4",
        "created": "2026-11-28T17:45:00Z",
    }  # fmt: skip
    return ev.Evidence(**{**fields, **changes})


def test_what_is_signed_is_read_back() -> None:
    line = ev.sign(judged(), KEY)
    assert "\n" not in line
    assert ev.verify(line, TRUSTED) == judged()
    assert ev.read_unverified(line) == judged()


def test_the_canonical_form_does_not_hang_on_the_order_of_keys() -> None:
    by_hand = json.dumps(
        judged().model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert ev.canonical(judged()) == by_hand.encode()
    assert b'"created":"2026-11-28T17:45:00Z"' in ev.canonical(judged())


def test_an_edit_of_any_one_byte_is_refused() -> None:
    line = ev.sign(judged(), KEY).encode()
    for place, byte in enumerate(line):
        for other in {byte ^ 1, byte ^ 0x20, ord("0"), ord(" ")} - {byte}:
            edited = line[:place] + bytes([other]) + line[place + 1 :]
            with pytest.raises(EvidenceError):
                ev.verify(edited.decode(errors="surrogateescape"), TRUSTED)


@pytest.mark.parametrize("extra", [b" ", b"\n", b"0", b"}", b","])
def test_a_byte_more_or_fewer_is_refused(extra: bytes) -> None:
    line = ev.sign(judged(), KEY).encode()
    for place in range(0, len(line) + 1, 3):
        for edited in (line[:place] + extra + line[place:], line[:place] + line[place + 1 :]):
            if edited != line:
                with pytest.raises(EvidenceError):
                    ev.verify(edited.decode(errors="surrogateescape"), TRUSTED)


@pytest.mark.parametrize("field", sorted(ev.Evidence.model_fields))
def test_a_field_that_is_changed_and_written_in_the_right_form_is_refused(field: str) -> None:
    other = {
        "version": None, "model": "router", "family": "router", "passed": None, "gates": None,
        "metrics": {}, "evaluated_on": {}, "cost": {}, "created": "2026-11-28T17:45:01Z",
    }  # fmt: skip
    value = other.get(field, "changed")
    if value is None:  # these have one legal value beside the others; the gate's bound stands in
        value, field = (judged().gates[0].model_copy(update={"bound": 0.1}),), "gates"
    outer = json.loads(ev.sign(judged(), KEY))
    outer["evidence"] = judged(**{field: value}).model_dump(mode="json")
    line = json.dumps(outer, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    with pytest.raises(EvidenceError, match="changed after it was signed"):
        ev.verify(line, TRUSTED)


def test_a_key_that_nobody_trusts_is_refused() -> None:
    stranger = Ed25519PrivateKey.generate()
    with pytest.raises(EvidenceError, match="not trusted"):
        ev.verify(ev.sign(judged(), stranger), TRUSTED)
    # and so is its signature under a trusted key's name
    line = ev.sign(judged(), stranger).replace(key_id(stranger.public_key()), next(iter(TRUSTED)))
    with pytest.raises(EvidenceError, match="not of this content"):
        ev.verify(line, TRUSTED)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not evidence"),
        ("null", "must be one object"),
        ('{"evidence":{},"key":"k"}', "must be one object"),
        ('{"evidence":{},"key":"k","signature":"AA=="}', "Field required"),
        ("[" * 100_000, "not evidence"),
        ('{"a":"' + "x" * ev.MAX_LENGTH + '"}', "at most"),
    ],
)
def test_malformed_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        ev.verify(text, TRUSTED)


def test_a_signature_that_is_not_base64_is_refused() -> None:
    outer = json.loads(ev.sign(judged(), KEY)) | {"signature": "*"}
    with pytest.raises(EvidenceError, match="base64"):
        ev.verify(json.dumps(outer), TRUSTED)


@pytest.mark.parametrize(
    "changes",
    [
        {"passed": False},
        {"gates": ()},
        {"gates": (ev.Gate(name="n", rule="r", value=1, bound=2, passed=False),)},
        {"created": "today"},
        {"cost": {"s": float("nan")}},
        {"surprise": 1},
    ],
)
def test_a_content_that_contradicts_itself_cannot_be_made(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        judged(**changes)


def test_age_is_checked_both_ways() -> None:
    made = datetime(2026, 11, 28, 17, 45, tzinfo=UTC)
    judged().check_age(timedelta(days=7), made + timedelta(days=6))
    with pytest.raises(EvidenceError, match="older than 7 days"):
        judged().check_age(timedelta(days=7), made + timedelta(days=8))
    with pytest.raises(EvidenceError, match="in the future"):
        judged().check_age(timedelta(days=7), made - timedelta(hours=1))


def test_it_is_kept_under_the_digest_of_the_line(tmp_path: Path) -> None:
    home, line = Home(tmp_path), ev.sign(judged(), KEY)
    digest = ev.keep(home, line, "<p>report</p>")
    assert ev.load_text(home, digest) == line
    assert home.read_text("evidence", f"{digest}.html") == "<p>report</p>"
    with pytest.raises(NotFound, match="no evidence"):
        ev.load_text(home, "0" * 16)
    home.write_text(line.replace("run-1", "run-2"), "evidence", f"{digest}.json")
    with pytest.raises(EvidenceError, match="changed after it was kept"):
        ev.load_text(home, digest)
