"""Settings of TLS and SASL: what belongs together is asked for, what does not is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from schemas.errors import ConfigurationError
from streams.cli import cli
from streams.connection import Connection
from streams.security import Mechanism, Protocol, Security
from streams.settings import Settings, as_flags, load_settings

SECRET = "hunter2;=,"  # noqa: S105 - of nobody


def loaded(**fields: str) -> Security:
    """Return settings as a file gives them."""
    return load_settings(environment={}, flags={"security": fields}).security


def test_nothing_set_is_plain_text() -> None:
    """As it was before there were such settings."""
    assert Connection("b:1").client_options() == {
        "bootstrap_servers": "b:1",
        "client_id": "headrace",
    }


@pytest.mark.parametrize("spelling", ["sasl_ssl", "SASL_SSL", "Sasl_Ssl"])
def test_kafkas_own_spelling_is_taken(spelling: str) -> None:
    """Settings are copied from those of other clients."""
    assert Protocol(spelling) is Protocol.SASL_SSL
    assert loaded(protocol=spelling.upper(), mechanism="PLAIN", username="a").protocol == "sasl_ssl"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"ca_file": "a.pem"},
            "the protocol is plaintext, without TLS; set security.protocol to ssl",
        ),
        ({"certificate_file": "a.pem"}, "security.certificate_file"),
        ({"mechanism": "PLAIN"}, "security.mechanism: the protocol is plaintext, without a login"),
        ({"username": "ada"}, "security.protocol to sasl_ssl or sasl_plaintext"),
        ({"protocol": "ssl", "username": "ada"}, "security.protocol to sasl_ssl"),
        ({"protocol": "ssl", "key_file": "k.pem"}, "set security.certificate_file"),
        ({"protocol": "sasl_ssl"}, "security.mechanism: is not set"),
        ({"protocol": "sasl_ssl", "mechanism": "PLAIN"}, "security.username: is not set"),
        (
            {"protocol": "sasl_plaintext", "mechanism": "PLAIN", "username": "a", "ca_file": "b"},
            "set security.protocol to sasl_ssl",
        ),
        (
            {"protocol": "sasl_ssl", "mechanism": "PLAIN", "username": "a", "token_file": "t"},
            "security.token_file: is not used by PLAIN",
        ),
        (
            {"protocol": "sasl_ssl", "mechanism": "OAUTHBEARER", "username": "a"},
            "security.username: is not used by OAUTHBEARER",
        ),
        ({"protocol": "sasl_ssl", "mechanism": "OAUTHBEARER"}, "needs one of the two"),
        (
            {"protocol": "sasl_ssl", "mechanism": "OAUTHBEARER", "token_file": "t", "scope": "s"},
            "security.scope: belongs to security.token_endpoint",
        ),
        (
            {"protocol": "sasl_ssl", "mechanism": "OAUTHBEARER", "token_endpoint": "https://i/t"},
            "security.client_id: is not set",
        ),
        (
            {
                "protocol": "sasl_ssl",
                "mechanism": "OAUTHBEARER",
                "token_endpoint": "http://idp.example/t",
                "client_id": "c",
            },
            "is not an https URL",
        ),
        ({"protocol": "tls"}, "protocol"),
        ({"protocol": "sasl_ssl", "mechanism": "GSSAPI"}, "mechanism"),
    ],
)
def test_what_does_not_fit_is_named(fields: dict[str, str], told: str) -> None:
    """With the setting that would mend it."""
    with pytest.raises(ConfigurationError) as error:
        loaded(**fields)
    assert told in str(error.value)


def test_an_endpoint_with_a_password_in_it_is_refused_without_showing_it() -> None:
    """URLs are printed."""
    with pytest.raises(ConfigurationError) as error:
        loaded(
            protocol="sasl_ssl",
            mechanism="OAUTHBEARER",
            token_endpoint=f"https://me:{SECRET}@idp.example/token",
            client_id="c",
        )
    assert SECRET not in str(error.value)


def test_file_and_environment_are_put_together_before_they_are_judged(tmp_path: Path) -> None:
    """Neither would do by itself."""
    config = tmp_path / "headrace.toml"
    config.write_text('[security]\nprotocol = "sasl_ssl"\nmechanism = "SCRAM-SHA-512"\n')
    settings = load_settings(config=config, environment={"HEADRACE_SECURITY__USERNAME": "ada"})
    assert settings.security.username == "ada"


@pytest.mark.parametrize("name", ["password", "key_password", "client_secret"])
def test_a_secret_in_a_file_or_a_flag_is_refused_and_not_shown(name: str, tmp_path: Path) -> None:
    """Both are read by others; the remedy is named."""
    config = tmp_path / "headrace.toml"
    config.write_text(f'[security]\n{name} = "{SECRET}"\n')
    sources: list[dict[str, Any]] = [
        {"config": config},
        {"flags": {"security": {name: SECRET}}},
    ]
    for source in sources:
        with pytest.raises(ConfigurationError) as error:
            load_settings(environment={}, **source)
        assert SECRET not in str(error.value)
        assert f"security.{name}_file, or set HEADRACE_SECURITY__{name.upper()}" in str(error.value)


def test_secrets_are_no_part_of_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is logged, dumped and handed to processes does not hold them; clients get them."""
    monkeypatch.setenv("HEADRACE_SECURITY__PASSWORD", SECRET)
    monkeypatch.setenv("HEADRACE_SECURITY__PROTOCOL", "SASL_PLAINTEXT")
    monkeypatch.setenv("HEADRACE_SECURITY__MECHANISM", "PLAIN")
    monkeypatch.setenv("HEADRACE_SECURITY__USERNAME", "ada")
    settings = load_settings()
    connection = settings.connection()
    for shown in (settings, as_flags(settings), connection, settings.security.variables()):
        assert SECRET not in repr(shown)
    assert SECRET not in msgspec.json.encode(settings).decode()
    assert connection.client_options()["sasl_plain_password"] == SECRET
    # A worker process gets the settings, and finds the secret in the environment it inherits.
    child = load_settings(environment={}, flags=as_flags(settings))
    assert child == settings
    assert child.connection().client_options()["sasl_plain_password"] == SECRET
    file = tmp_path / "password"
    file.write_text("other\r\n")
    twice = msgspec.structs.replace(settings.security, password_file=str(file))
    with pytest.raises(ConfigurationError, match="in one place"):
        twice.client_options()
    monkeypatch.delenv("HEADRACE_SECURITY__PASSWORD")
    assert twice.client_options()["sasl_plain_password"] == "other"  # noqa: S105 - ours


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x" * 70_000, "la"),
    ],
)
def test_a_file_that_holds_no_secret_is_named(
    content: bytes | None, told: str, tmp_path: Path
) -> None:
    """And the setting that names it."""
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    security = Security(
        protocol=Protocol.SASL_SSL,
        mechanism=Mechanism.PLAIN,
        username="ada",
        password_file=str(file),
    )
    with pytest.raises(ConfigurationError, match=rf"security\.password_file: .*{told}") as error:
        security.client_options()
    assert error.value.__cause__ is None or isinstance(error.value.__cause__, OSError)


@pytest.mark.parametrize("field", ["ca_file", "certificate_file"])
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_used_are_named(
    field: str, content: str | None, tmp_path: Path
) -> None:
    """Missing, and not in PEM."""
    file = tmp_path / "certificate.pem"
    if content is not None:
        file.write_text(content)
    security = msgspec.structs.replace(Security(protocol=Protocol.SSL), **{field: str(file)})
    with pytest.raises(ConfigurationError, match=rf"security\.{field}: .*certificate\.pem"):
        security.client_options()


def test_variables_carry_the_settings_to_a_process() -> None:
    """And those that are unset are emptied there."""
    security = Security(
        protocol=Protocol.SASL_SSL, mechanism=Mechanism.SCRAM_SHA_256, username="ada"
    )
    assert load_settings(environment=security.variables()).security == security
    assert load_settings(environment=Security().variables()) == Settings()


def commands_of(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Yield a command and those under it, with their full names."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            assert found is not None
            yield from commands_of(found, f"{name} {each}")


def test_every_command_that_talks_to_brokers_can_reach_secured_ones() -> None:
    """It reads the workers' file, which says how."""
    options = {
        name: {option for one in command.params for option in one.opts}
        for name, command in commands_of(cli, "headrace")
    }
    talking = {name for name, known in options.items() if "--bootstrap-servers" in known}
    assert talking >= {"headrace run", "headrace tail", "headrace dlq redrive", "headrace demo"}
    assert [name for name in sorted(talking) if "--config" not in options[name]] == []
