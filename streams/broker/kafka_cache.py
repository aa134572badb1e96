"""Apache Kafka's jars: copied by Maven once, then used by every run."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from schemas.errors import BrokerError
from streams.broker.notices import say
from streams.broker.process import ChildProcess

KAFKA_VERSION = "4.3.1"
POM = Path(__file__).with_name("kafka-pom.xml")
FETCH_S = 900.0
_GOAL = "dependency:copy-dependencies"
_LOCK_POLL_S = 0.1


def cache_home() -> Path:
    """Return headrace's directory below XDG_CACHE_HOME, or below ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "headrace"


def jars_directory(home: Path | None = None) -> Path:
    """Return where the jars lie: the name changes with what the POM asks for."""
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()[:8]
    return (home or cache_home()) / f"kafka-{KAFKA_VERSION}-{digest}"


def find_maven() -> str | None:
    """Return the absolute path of ``mvn``."""
    found = shutil.which("mvn")
    return str(Path(found).absolute()) if found else None


def why_no_jars(home: Path | None = None) -> str | None:
    """Return why the jars cannot be had, or ``None`` where they are there or Maven is."""
    jars = jars_directory(home)
    if jars.is_dir() or find_maven():
        return None
    return f"no mvn in PATH to fetch Apache Kafka into {jars}; install Maven"


async def ensure_jars(home: Path | None = None) -> Path:
    """Return the directory of the jars, having Maven copy them where they are missing.

    Two processes may ask at once: one copies, the other waits for it.

    Raises:
        BrokerError: There is no ``mvn``, or it failed; with its last lines.
    """
    home = home or cache_home()
    jars = jars_directory(home)
    if jars.is_dir():
        return jars
    maven = find_maven()
    if maven is None:
        raise BrokerError(f"provider maven: {why_no_jars(home)}")
    home.mkdir(parents=True, exist_ok=True)
    async with _locked(home / f"{jars.name}.lock"):
        if not jars.is_dir():
            say(f"fetching Apache Kafka {KAFKA_VERSION} (44 MB) into {jars}, once")
            await _copy(maven, jars)
    return jars


async def _copy(maven: str, jars: Path) -> None:
    """Have Maven copy into a temporary directory, which then becomes the cache in one step."""
    work = Path(tempfile.mkdtemp(prefix=f"{jars.name}.", dir=jars.parent))
    try:
        shutil.copy(POM, work / "pom.xml")
        await _run(maven, work)
        (work / "jars").rename(jars)
    finally:
        shutil.rmtree(work, ignore_errors=True)


async def _run(maven: str, work: Path) -> None:
    options = ["-q", "-B", "--strict-checksums", "-Dstyle.color=never"]
    target = ["-DincludeScope=runtime", f"-DoutputDirectory={work / 'jars'}"]
    child = ChildProcess([maven, *options, _GOAL, *target], log=work / "maven.log", cwd=work)
    child.start()
    try:
        status = await child.wait(FETCH_S)
    except TimeoutError as error:
        raise BrokerError(
            f"mvn has not copied Apache Kafka within {FETCH_S:g} s; is the network reachable? "
            f"Its last lines:\n{child.logs(12)}"
        ) from error
    finally:
        await child.kill()
    if status != 0:
        raise BrokerError(
            f"mvn could not copy Apache Kafka {KAFKA_VERSION} (exit status {status}); check the "
            f"network and Maven's settings.xml. Its last lines:\n{child.logs(12)}"
        )


@asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    """Hold an exclusive lock on a file, without blocking the event loop while waiting for it."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_LOCK_POLL_S)
        yield
    finally:
        os.close(descriptor)
