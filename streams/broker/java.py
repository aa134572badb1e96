"""Finding a Java that Apache Kafka 4 runs on."""

import os
import re
import shutil
import subprocess
from pathlib import Path

MINIMUM_JAVA = 17
_VERSION = re.compile(r'version "(\d+)')
_ANSWER_S = 20.0


def find_java() -> Path | None:
    """Return the absolute path of ``java``: that of JAVA_HOME first, then that of PATH."""
    home = os.environ.get("JAVA_HOME")
    if home and os.access(Path(home) / "bin" / "java", os.X_OK):
        return (Path(home) / "bin" / "java").absolute()
    found = shutil.which("java")
    return Path(found).absolute() if found else None


def java_version(java: Path) -> int | None:
    """Return the major version that ``java -version`` tells; ``None`` where it tells none."""
    try:
        answer = subprocess.run(  # noqa: S603 - the program we have just looked up
            [java, "-version"], capture_output=True, text=True, timeout=_ANSWER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(answer.stderr + answer.stdout)
    return int(match.group(1)) if match else None


def why_no_java() -> str | None:
    """Return why Kafka cannot run on this machine's Java, or ``None`` where it can."""
    java = find_java()
    if java is None:
        return f"no java in JAVA_HOME or PATH; install a JRE {MINIMUM_JAVA} or newer"
    version = java_version(java)
    if version is None or version < MINIMUM_JAVA:
        return f"{java} is version {version}; Apache Kafka 4 needs {MINIMUM_JAVA} or newer"
    return None
