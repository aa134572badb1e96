"""Signatures are those of Standard Webhooks, and secrets stay out of errors."""

import base64
from pathlib import Path

import pytest

from schemas.errors import ConfigurationError
from streams.webhooks.settings import Webhook
from streams.webhooks.signing import Signer, read_signer

# The example that the scheme's own libraries are tested with.
PUBLISHED_SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - known to all
PUBLISHED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def signer_of(tmp_path: Path, text: str) -> Signer:
    """Read secrets from a file of this text."""
    file = tmp_path / "secret"
    file.write_text(text)
    return read_signer(
        Webhook(
            name="desk", url="https://desk.example", topics=("results.news",), secret_file=str(file)
        )
    )


def test_the_published_example_is_signed_as_published(tmp_path: Path) -> None:
    """Secret, id, time and body of the scheme's own tests give their signature."""
    signer = signer_of(tmp_path, f"# since March\nwhsec_{PUBLISHED_SECRET}\n")
    headers = signer.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": PUBLISHED,
    }


def test_several_secrets_sign_side_by_side(tmp_path: Path) -> None:
    """A receiver that knows either can check it, so one can be replaced without a gap."""
    other = base64.b64encode(bytes(32)).decode()
    signer = signer_of(tmp_path, f"whsec_{other}\nwhsec_{PUBLISHED_SECRET}\n")
    headers = signer.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    first, second = headers["webhook-signature"].split(" ")
    assert second == PUBLISHED
    assert first != second


def test_without_a_secret_nothing_is_signed() -> None:
    """Id and time are there all the same."""
    headers = Signer(()).headers("n", 1, b"{}")
    assert headers == {"webhook-id": "n", "webhook-timestamp": "1"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("secret-of-somebody\n", "line 1 does not begin with whsec_"),
        ("whsec_not base64 of somebody\n", "line 1 is not base64"),
        (f"# one\nwhsec_{base64.b64encode(bytes(16)).decode()}", "line 2 is a secret of 16 bytes"),
        ("# none\n", "holds no secret"),
    ],
)
def test_what_is_no_secret_is_refused_without_repeating_it(
    tmp_path: Path, text: str, told: str
) -> None:
    """The message says where it stands and how one is made."""
    with pytest.raises(ConfigurationError, match=told) as refused:
        signer_of(tmp_path, text)
    assert "webhooks.desk.secret_file" in str(refused.value)
    assert "somebody" not in str(refused.value)
