"""Apache Kafka in a container of its official image, where a Docker engine answers."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from schemas.errors import BrokerError
from streams.broker.kafka_cache import KAFKA_VERSION
from streams.broker.kafka_properties import Ports, escape, node_properties
from streams.broker.maven import cluster_id
from streams.broker.notices import say
from streams.broker.ports import LOOPBACK, free_ports
from streams.broker.process import last_lines
from streams.broker.running import RunningBroker, until_ready

IMAGE = f"apache/kafka:{KAFKA_VERSION}"
INSTALL = "pip install 'headrace[dev]'"
DEFAULT_ENGINE = "unix:///var/run/docker.sock"
ENGINE_ANSWER_S = 3.0
START_S = 120.0
STOP_GRACE_S = 15
_DATA = "/tmp/kraft-combined-logs"  # noqa: S108 - inside the container, owned by its user  # nosec B108
_UNIX = "unix://"
_LINES_PER_CAUSE = 20
"""A stack trace of Java's is about as long."""
_HEAP = "-Xms128m -Xmx512m -XX:+UseSerialGC"


def why_no_engine() -> str | None:
    """Return why Docker cannot be used, or ``None`` where an engine answers; takes 3 s at most."""
    if find_spec("testcontainers") is None:
        return f"the package testcontainers is not installed; {INSTALL}"
    import docker  # noqa: PLC0415 - an extra: absent from a plain install
    from docker.errors import DockerException  # noqa: PLC0415

    socket_problem = _why_no_socket(os.environ.get("DOCKER_HOST") or DEFAULT_ENGINE)
    if socket_problem:
        return socket_problem
    try:
        client = docker.from_env(timeout=ENGINE_ANSWER_S)
    except DockerException as error:
        return f"the Docker engine does not answer ({_cause(error)}); start it again"
    client.close()
    return None


def _why_no_socket(engine: str) -> str | None:
    """Try a local engine's socket: docker-py leaves its own open where nobody listens."""
    if not engine.startswith(_UNIX):
        return (
            f"the engine at {engine} is not on this machine; unset DOCKER_HOST to use a local one"
        )
    path = "/" + engine.removeprefix(_UNIX).lstrip("/")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(ENGINE_ANSWER_S)
        try:
            probe.connect(path)
        except OSError as error:
            return f"no Docker engine listens at {path} ({error.strerror or error}); start one"
    return None


def container_environment(ports: Ports, properties: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that makes the image's node the one that we describe.

    The image turns ``KAFKA_A_B`` into ``a.b``, a double underscore into one and a triple one into
    a dash, and copies values into a properties file as they are: hence escaped.
    """
    settings = node_properties(
        ports,
        log_dirs=_DATA,
        bind="0.0.0.0",  # noqa: S104 - within the container  # nosec B104
        advertise=LOOPBACK,
        extra=properties,
    )
    return {
        "CLUSTER_ID": cluster_id(),
        "KAFKA_HEAP_OPTS": _HEAP,
        **{variable(name): escape(value) for name, value in settings.items()},
    }


def variable(name: str) -> str:
    """Name the environment variable of a setting."""
    spelled = name.replace("_", "__").replace("-", "___").replace(".", "_")
    return f"KAFKA_{spelled.upper()}"


@asynccontextmanager
async def open_docker(
    *,
    port: int | None = None,
    data_dir: Path | None = None,
    properties: Mapping[str, str] | None = None,
    advertised_port: int | None = None,
) -> AsyncIterator[RunningBroker]:
    """Run the official image for as long as the context lasts.

    The container is removed at the end, by testcontainers' reaper also where we were killed.

    Args:
        port: For clients; ``None`` takes a free one.
        data_dir: Must be ``None``: the data live and die with the container.
        properties: Settings of the node on top of ours.
        advertised_port: What clients are told to connect to, in place of the broker's own.

    Raises:
        BrokerError: No engine answers, the image cannot be had, or Kafka does not come up.
    """
    if data_dir is not None:
        raise BrokerError(
            f"data_dir: {data_dir}: a container keeps its data to itself; ask for provider maven"
        )
    reason = await asyncio.to_thread(why_no_engine)
    if reason:
        raise BrokerError(f"provider docker: {reason}")
    free = free_ports(3)
    ports = Ports(port or free[0], free[1], free[2], advertised_port)
    container = _container(ports, properties or {})
    say(f"starting {IMAGE}; the first time it is pulled")
    try:
        await asyncio.to_thread(_start, container)
        runner = ContainerRunner(container.get_wrapped_container())
        internal = f"{LOOPBACK}:{ports.internal}"
        await until_ready(internal, runner, START_S)
        yield RunningBroker(
            bootstrap_servers=f"{LOOPBACK}:{ports.client}",
            provider="docker",
            version=KAFKA_VERSION,
            runner=runner,
            check_address=internal,
        )
    finally:
        await asyncio.to_thread(container.stop)


def _container(ports: Ports, properties: Mapping[str, str]) -> Any:
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - an extra

    container = DockerContainer(IMAGE).with_envs(**container_environment(ports, properties))
    published: Any = container.ports  # docker-py takes an address too, which its type here hides
    for one in (ports.client, ports.internal):
        published[f"{one}/tcp"] = (LOOPBACK, one)
    return container


def _start(container: Any) -> None:
    from docker.errors import DockerException  # noqa: PLC0415 - an extra

    try:
        container.start()
    except (DockerException, OSError) as error:
        raise BrokerError(
            f"provider docker: {IMAGE} could not be started ({_cause(error)}); is the registry "
            "reachable, and is the port free?"
        ) from error


def _cause(error: BaseException) -> str:
    """Return the first line of what is at the bottom of an error."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


class ContainerRunner:
    """A container that can be killed, paused and started again, as a process can.

    Args:
        container: As ``docker.models.containers.Container``.
    """

    def __init__(self, container: Any) -> None:
        self._container = container

    @property
    def pid(self) -> int | None:
        """Nothing: the process belongs to the engine."""
        return None

    @property
    def running(self) -> bool:
        """Whether the container has not ended."""
        self._container.reload()
        return self._container.status in {"created", "running", "restarting", "paused"}

    def start(self) -> None:
        """Start the container again; its data are still there."""
        self._container.start()

    def pause(self) -> None:
        """Freeze all of its processes."""
        self._container.pause()

    def resume(self) -> None:
        """Let them go on."""
        self._container.unpause()

    async def kill(self) -> None:
        """End it without warning."""
        if self.running:
            self._thaw()
            await asyncio.to_thread(self._container.kill)

    async def stop(self) -> None:
        """End it in order."""
        if self.running:
            self._thaw()
            await asyncio.to_thread(self._container.stop, timeout=STOP_GRACE_S)

    def logs(self, lines: int) -> str:
        """Return the last lines that it wrote."""
        text: bytes = self._container.logs(tail=lines * _LINES_PER_CAUSE)
        return last_lines(text.decode(errors="replace"), lines)

    def _thaw(self) -> None:
        """An engine neither stops nor kills what is paused."""
        if self._container.status == "paused":
            self._container.unpause()
