"""Secrets: from the environment or from files of their own, never from settings or flags.

Settings are printed, logged and handed to worker processes; a secret is read where a client is
made from it, and stays out of all that.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.errors import ConfigurationError

SECRETS = ("password", "key_password", "client_secret")
"""Of the table ``security``; each has a setting of the same name and ``_file``."""
VARIABLES = {name: f"HEADRACE_SECURITY__{name.upper()}" for name in SECRETS}
"""The environment variable of each."""
LARGEST_BYTES = 64 * 1024


def secret(name: str, file: str | None, environment: Mapping[str, str] | None = None) -> str | None:
    """Return a secret, or ``None`` where it is set nowhere.

    Args:
        name: One of :data:`SECRETS`.
        file: What ``security.NAME_file`` says.
        environment: Defaults to the process's.

    Raises:
        ConfigurationError: It is set twice, or the file cannot be read or is empty.
    """
    variable = VARIABLES[name]
    given = (os.environ if environment is None else environment).get(variable) or None
    if file is None:
        return given
    if given is not None:
        raise ConfigurationError(
            f"security.{name}_file: {variable} is set as well; give the secret in one place"
        )
    return read_secret_file(f"security.{name}_file", file)


def read_secret_file(field: str, file: str) -> str:
    """Return what a file holds, without the line's end.

    Raises:
        ConfigurationError: It cannot be read, is empty, or is no secret; names the field and file.
    """
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(LARGEST_BYTES + 1)
        text = content.decode()
    except OSError as error:
        raise ConfigurationError(
            f"{field}: {file} cannot be read: {error.strerror}; name a file that holds the secret "
            "and that this user may read"
        ) from error
    except UnicodeDecodeError:
        # Without its cause: the exception holds the bytes.
        raise ConfigurationError(f"{field}: {file} is not UTF-8 text") from None
    text = text.rstrip("\r\n")
    if not text or len(content) > LARGEST_BYTES:
        what = "is empty" if not text else f"is larger than {LARGEST_BYTES:,} bytes"
        raise ConfigurationError(
            f"{field}: {file} {what}; it must hold the secret and nothing else"
        )
    return text


def refuse_inline(values: Mapping[str, Any], source: str) -> None:
    """Refuse secrets among settings.

    Args:
        values: Nested like the settings.
        source: Where they come from.

    Raises:
        ConfigurationError: There is one; the message does not repeat it.
    """
    table = values.get("security")
    for name in SECRETS:
        if isinstance(table, Mapping) and name in table:
            raise ConfigurationError(
                f"{source}: security.{name}: a secret has no place here, where it is shown and "
                f"passed on; put it into a file of its own and name that in security.{name}_file, "
                f"or set {VARIABLES[name]}"
            )
