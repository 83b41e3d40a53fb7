"""Evidence: what the gates found of one bundle, signed. A promotion is refused without it.

It is one line of JSON, so that a commit message carries it and any tool can read it:

    {"evidence": {...}, "key": "<key id>", "signature": "<base64 of ed25519>"}

The signature is over `canonical(evidence)`, and the line has exactly one form: whatever is
changed in it, even a space, is refused.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from pydantic import (
    Field,
    FiniteFloat,
    NonNegativeInt,
    ValidationError,
    field_validator,
    model_validator,
)

from tastemaker.core import digests
from tastemaker.core.config import Config
from tastemaker.core.errors import EvidenceError, NotFound
from tastemaker.core.home import Home
from tastemaker.promotion.signing import key_id

MAX_LENGTH = 512 * 1024  # characters of a line; real ones are some 10,000
CLOCK_S = 300  # how far the signer's clock may run ahead of the verifier's
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


class Metric(Config):
    """One figure of a bundle, with its 95 % interval and what is known of the live bundle's."""

    value: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    baseline: FiniteFloat | None = None  # the live bundle's figure
    gain: FiniteFloat | None = None  # value - baseline, as cases were compared
    gain_low: FiniteFloat | None = None
    gain_high: FiniteFloat | None = None
    cases: NonNegativeInt  # a figure of no cases was measured whole (milliseconds, bytes)
    comparison: Literal["", "paired", "unpaired"] = ""  # on the same cases or not


class Gate(Config):
    """One rule and what came of it."""

    name: str = Field(min_length=1)  # e.g. floor:test_hr@10
    rule: str = Field(min_length=1)  # a sentence that a reviewer reads
    value: FiniteFloat | str  # what was found
    bound: FiniteFloat | str  # what was asked
    passed: bool


class Evidence(Config):
    """The result of the gates for one bundle in one environment."""

    version: Literal[1] = 1
    model: Literal["encoder", "retrieval", "recommender", "router"]
    family: Literal["encoder", "index", "sequence", "router"]
    bundle: str = Field(min_length=1)
    environment: str = Field(min_length=1)
    dataset: str = Field(min_length=1)  # version that the bundle is to serve over
    space: str  # embedding space that it reads; an encoder's own digest
    baseline: str = ""  # bundle that was live when this was judged; "": none
    evaluated_on: dict[str, str] = Field(default_factory=dict)  # dataset or dialogues: their digest
    thresholds: str = ""  # name of their preset ("changed": none) and digest of their content
    metrics: dict[str, Metric] = Field(default_factory=dict)
    gates: tuple[Gate, ...]
    passed: bool
    cost: dict[str, FiniteFloat] = Field(default_factory=dict)  # names end in their unit
    run: str = ""  # pipeline run, where one judged
    code_version: str
    report: str = ""  # digest of the HTML report
    created: str  # UTC, 2026-11-28T17:45:00Z

    @field_validator("created")
    @classmethod
    def _created_is_utc(cls, value: str) -> str:
        datetime.strptime(value, TIME_FORMAT)
        return value

    @model_validator(mode="after")
    def _verdict_follows_the_gates(self) -> Self:
        found = bool(self.gates) and all(gate.passed for gate in self.gates)
        if self.passed != found:
            raise ValueError(f"passed={self.passed}, but the gates say {found}")
        return self

    def check_age(self, max_age: timedelta, now: datetime) -> None:
        """Refuse evidence that is too old to say anything of what is live now.

        Args:
            max_age: What still counts.
            now: With its time zone.

        Raises:
            EvidenceError: Older than that, or made in the future.
        """
        age = now - made_at(self)
        if age > max_age:
            raise EvidenceError(
                f"evidence of bundle {self.bundle} is of {self.created}: older than "
                f"{max_age.total_seconds() / 86400:g} days; run the gates again"
            )
        if age < -timedelta(seconds=CLOCK_S):
            raise EvidenceError(
                f"evidence of bundle {self.bundle} is of {self.created}, which is in the future"
            )


def made_at(evidence: Evidence) -> datetime:
    """When the gates judged, in UTC."""
    return datetime.strptime(evidence.created, TIME_FORMAT).replace(tzinfo=UTC)


def utc_now() -> str:
    """This second, as `created` wants it."""
    return datetime.now(UTC).strftime(TIME_FORMAT)


def canonical(evidence: Evidence) -> bytes:
    """The bytes that are signed: sorted keys, no spaces, UTF-8, finite numbers alone."""
    return _canonical(evidence.model_dump(mode="json")).encode()


def sign(evidence: Evidence, key: Ed25519PrivateKey) -> str:
    """Evidence as one signed line of JSON."""
    return _line(evidence, key_id(key.public_key()), key.sign(canonical(evidence)))


def verify(text: str, trusted: Mapping[str, Ed25519PublicKey]) -> Evidence:
    """Read a signed line back, and believe it.

    Args:
        text: The line, without its line end.
        trusted: Public keys by `signing.key_id`.

    Returns:
        The evidence, exactly as it was signed. Whether it passed, is fresh and matches what is
        promoted is for the caller to ask.

    Raises:
        EvidenceError: Not such a line, a key that is not trusted, a signature that is not of
            this content, or a content that breaks a rule.
    """
    evidence, name, signature = _parse(text)
    public = trusted.get(name)
    if public is None:
        known = ", ".join(sorted(trusted)) or "none"
        raise EvidenceError(f"evidence is signed by key {name!r}, which is not trusted ({known})")
    try:
        public.verify(signature, canonical(evidence))
    except InvalidSignature:
        raise EvidenceError(
            f"evidence of bundle {evidence.bundle}: the signature of key {name} is not of this "
            "content: it was changed after it was signed"
        ) from None
    return evidence


def read_unverified(text: str) -> Evidence:
    """Read a line without asking who signed it: to show it, never to act on it.

    Raises:
        EvidenceError: Not a line of evidence.
    """
    return _parse(text)[0]


def keep(home: Home, text: str, report_html: str = "") -> str:
    """Store a signed line and its report; returns the digest of the line."""
    digest = digests.of_bytes([text.encode()])
    if report_html:
        home.write_text(report_html, "evidence", f"{digest}.html")
    home.write_text(text, "evidence", f"{digest}.json")  # last: it says that all is there
    return digest


def load_text(home: Home, digest: str) -> str:
    """The signed line of that digest.

    Raises:
        NotFound: The home holds none.
        EvidenceError: What lies there is not what was kept.
    """
    text = home.read_text("evidence", f"{digest}.json")
    if text is None:
        raise NotFound(f"no evidence {digest!r} in {home.location}")
    if digests.of_bytes([text.encode()]) != digest:
        raise EvidenceError(f"evidence {digest} in {home.location} was changed after it was kept")
    return text


def _parse(text: str) -> tuple[Evidence, str, bytes]:
    if len(text) > MAX_LENGTH:
        raise EvidenceError(f"not evidence: {len(text)} characters, at most {MAX_LENGTH}")
    try:
        text.encode()  # half a character, as bytes that are no UTF-8 are read, is refused here
        outer = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EvidenceError(f"not evidence: {error}") from None
    if not isinstance(outer, dict) or set(outer) != {"evidence", "key", "signature"}:
        raise EvidenceError("not evidence: must be one object of evidence, key and signature")
    try:
        evidence = Evidence.model_validate(outer["evidence"])
        signature = base64.b64decode(str(outer["signature"]).encode("ascii"), validate=True)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"]) or "evidence"
        raise EvidenceError(f"not evidence: {where}: {fault['msg']}") from None
    except (binascii.Error, UnicodeEncodeError):
        raise EvidenceError("not evidence: the signature is not base64") from None
    name = str(outer["key"])
    if text != _line(evidence, name, signature):
        raise EvidenceError(
            "not evidence as it was signed: the line is not in its one form; it was edited, or "
            "a key stands in it twice"
        )
    return evidence, name, signature


def _line(evidence: Evidence, name: str, signature: bytes) -> str:
    content = evidence.model_dump(mode="json")
    signed = base64.b64encode(signature).decode()
    return _canonical({"evidence": content, "key": name, "signature": signed})


def _canonical(value: object) -> str:
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
