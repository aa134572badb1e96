"""A certificate authority of a test's own, made with openssl."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, in PEM."""

    certificate: Path
    key: Path

    @property
    def options(self) -> list[str]:
        """What openssl signs with it with."""
        return ["-CA", str(self.certificate), "-CAkey", str(self.key)]


def issue(
    directory: Path,
    name: str,
    *,
    signer: Issued | None = None,
    host: str = "IP:127.0.0.1",
    password: str | None = None,
) -> Issued:
    """Make a certificate for ``host``, of an authority where nobody signs it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl in PATH to make certificates with")
    issued = Issued(directory / f"{name}.pem", directory / f"{name}.key.pem")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-days", "1", "-subj", f"/CN={name}"]
    command += ["-nodes"] if password is None else ["-passout", f"pass:{password}"]
    command += ["-keyout", str(issued.key), "-out", str(issued.certificate)]
    if signer is not None:
        command += ["-addext", f"subjectAltName={host}", "-addext", "basicConstraints=CA:FALSE"]
        command += signer.options
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return issued
