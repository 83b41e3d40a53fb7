import pytest

from tastemaker.core.errors import ConfigError
from tastemaker.core.s3_settings import S3Settings

VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION")
VARIABLES += ("AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE")


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET")


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [("s3://b", "b", ""), ("s3://b/", "b", ""), ("s3://b/x/y/", "b", "x/y")],
)
def test_bucket_and_prefix(url: str, bucket: str, prefix: str) -> None:
    found = S3Settings.of(url)
    assert (found.bucket, found.prefix) == (bucket, prefix)
    assert found.url == url.rstrip("/")


def test_secrets_are_not_in_its_text() -> None:
    assert "SECRET" not in repr(S3Settings.of("s3://b"))


def test_the_server_of_s3_alone_comes_before_that_of_all_services(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert S3Settings.of("s3://b").server == "https://s3.us-east-1.amazonaws.com"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert S3Settings.of("s3://b").server == "https://s3.eu-central-1.amazonaws.com"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://all:9000")
    assert S3Settings.of("s3://b").server == "http://all:9000"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://one:9000/")
    assert S3Settings.of("s3://b").server == "http://one:9000"


@pytest.mark.parametrize("url", ["s3://", "s3:///x", "s3://b?x=1", "http://b/x"])
def test_another_form_of_home_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"the form is s3://bucket/prefix"):
        S3Settings.of(url)


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "s3://x", "http://h/path"])
def test_an_endpoint_that_is_no_url_is_refused(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(ConfigError, match=f"AWS_ENDPOINT_URL='{endpoint}'"):
        S3Settings.of("s3://b")


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_a_key_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(ConfigError, match=f"{name} is not set"):
        S3Settings.of("s3://b")


def test_no_key_is_for_pods_with_a_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigError, match="needs credentials"):
        S3Settings.of("s3://b")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/token")
    assert S3Settings.of("s3://b").access_key == ""
