"""Who is let in."""

from pathlib import Path

import pytest

from schemas import ConfigurationError
from streams.gateway.ingest.settings import INGEST_TOKENS_VARIABLE, IngestSettings
from streams.gateway.settings import TOKENS_VARIABLE, GatewaySettings
from streams.gateway.tokens import Tokens, read_ingest_tokens, read_tokens

FIRST, SECOND = "a" * 16, "b" * 20


def test_holders_of_different_tokens_are_told_apart() -> None:
    """Limits count per token; the name does not give the token away."""
    tokens = Tokens([FIRST, SECOND])
    first, second = (tokens.holder(f"Bearer {one}") for one in (FIRST, SECOND))
    assert first
    assert second
    assert first != second
    assert FIRST not in first


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", f"Bearer {FIRST}x", FIRST, f"Basic {FIRST}"]
)
def test_strangers_have_no_name(header: str | None) -> None:
    """Whatever they send."""
    assert Tokens([FIRST]).holder(header) is None


def test_without_tokens_everybody_is_let_in() -> None:
    """On this machine's own address alone."""
    local = read_tokens(GatewaySettings(), {})
    assert not local
    assert local.holder(None)
    for host in ("0.0.0.0", "::", "192.0.2.7", "gateway.example"):  # noqa: S104
        with pytest.raises(
            ConfigurationError, match=r"gateway\.host: .* is open to other machines"
        ):
            read_tokens(GatewaySettings(host=host), {})
        assert read_tokens(GatewaySettings(host=host), {TOKENS_VARIABLE: FIRST})


def test_tokens_come_from_a_file_or_the_environment(tmp_path: Path) -> None:
    """Comments and blank lines are none."""
    path = tmp_path / "tokens"
    path.write_text(f"# desk\n{FIRST}\n\n{SECOND}\n")
    for tokens in (
        read_tokens(GatewaySettings(tokens_file=str(path)), {}),
        read_tokens(GatewaySettings(), {TOKENS_VARIABLE: f"{FIRST}, {SECOND}"}),
    ):
        assert tokens.holder(f"Bearer {FIRST}")
        assert tokens.holder(f"Bearer {SECOND}")
        assert not tokens.holder("Bearer # desk")


def test_a_short_or_a_missing_token_is_refused(tmp_path: Path) -> None:
    """Without being repeated."""
    with pytest.raises(ConfigurationError, match="token 2 has 6 characters") as refused:
        read_tokens(GatewaySettings(), {TOKENS_VARIABLE: f"{FIRST},secret"})
    assert "secret" not in str(refused.value)
    path = tmp_path / "tokens"
    path.write_text("# none yet\n")
    with pytest.raises(ConfigurationError, match="holds no token; write one a line"):
        read_tokens(GatewaySettings(tokens_file=str(path)), {})


def test_a_session_is_known_until_it_ends_or_its_token_is_taken_away() -> None:
    """By every gateway that knows the token; and to the limits it is the same holder."""
    session = Tokens([FIRST, SECOND]).session(f"Bearer {SECOND}", 1_000)
    assert session
    assert SECOND not in session
    other = Tokens([SECOND])
    assert other.holder_of_session(session, 999) == other.holder(f"Bearer {SECOND}")
    assert other.holder_of_session(session, 1_000) is None
    assert Tokens([FIRST]).holder_of_session(session, 999) is None
    assert other.session(f"Bearer {FIRST}", 1_000) is None


def test_a_session_cannot_be_made_up_or_prolonged() -> None:
    """What it says is signed."""
    tokens = Tokens([FIRST])
    session = tokens.session(f"Bearer {FIRST}", 1_000) or ""
    _, signature = session.split(".")
    for forged in (
        "",
        "1000",
        f"2000.{signature}",
        f"1000.{signature[:-1]}",
        f"\u0661.{signature}",
    ):
        assert tokens.holder_of_session(forged, 0) is None


def test_nobody_may_send_unless_topics_are_named_and_tokens_given() -> None:
    """Where readers need no token, on this machine alone, senders need none either."""
    sending = GatewaySettings(ingest=IngestSettings(topics=("events.news",)))
    given = {INGEST_TOKENS_VARIABLE: SECOND}
    assert read_ingest_tokens(GatewaySettings(), Tokens([FIRST]), given) is None
    senders = read_ingest_tokens(sending, Tokens([FIRST]), given)
    assert senders
    assert senders.holder(f"Bearer {SECOND}")
    assert senders.holder(f"Bearer {FIRST}") is None
    with pytest.raises(ConfigurationError, match=r"gateway\.ingest\.topics: .* no token"):
        read_ingest_tokens(sending, Tokens([FIRST]), {})
    anybody = read_ingest_tokens(sending, Tokens([]), {})
    assert anybody is not None
    assert anybody.holder(None)
