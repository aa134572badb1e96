"""Apache Kafka itself, without Docker: one JVM on ports of the loopback interface."""

import base64
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from schemas.errors import BrokerError
from streams.broker.directory import data_directory
from streams.broker.java import find_java, why_no_java
from streams.broker.kafka_cache import KAFKA_VERSION, ensure_jars
from streams.broker.kafka_properties import Ports, node_properties, render
from streams.broker.ports import LOOPBACK, free_ports
from streams.broker.process import ChildProcess
from streams.broker.running import LOG_LINES, RunningBroker, until_ready

LOG4J = Path(__file__).with_name("kafka-log4j2.xml")
FORMAT_S = 60.0
PORT_ATTEMPTS = 3
_PORT_TAKEN = "Address already in use"
_PORT_LINES = 60
_HEAP = ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC"]
_SHORT_LIVED = ["-XX:TieredStopAtLevel=1"]


@asynccontextmanager
async def open_maven(
    *,
    port: int | None = None,
    data_dir: Path | None = None,
    properties: Mapping[str, str] | None = None,
    advertised_port: int | None = None,
) -> AsyncIterator[RunningBroker]:
    """Run Apache Kafka for as long as the context lasts.

    Args:
        port: For clients; ``None`` takes a free one.
        data_dir: Keeps the data after the end; ``None`` keeps them in a temporary directory.
        properties: Settings of the node on top of ours.
        advertised_port: What clients are told to connect to, in place of the broker's own.

    Raises:
        BrokerError: There is no Java, the jars cannot be had, or Kafka does not come up.
    """
    reason = why_no_java()
    java = find_java()
    if reason or java is None:
        raise BrokerError(f"provider maven: {reason}")
    jars = await ensure_jars()
    with data_directory(data_dir) as home:
        node = _Node(java, jars, home, dict(properties or {}), advertised_port)
        broker = await node.come_up(port)
        try:
            yield broker
        finally:
            await node.go(keep=data_dir is not None)


class _Node:
    """One Kafka node in one directory."""

    def __init__(
        self,
        java: Path,
        jars: Path,
        home: Path,
        properties: dict[str, str],
        advertised_port: int | None,
    ) -> None:
        self._java = java
        self._jars = jars
        self._home = home
        self._properties = properties
        self._advertised_port = advertised_port
        self._config = home / "server.properties"
        self._process = self._broker()

    async def come_up(self, port: int | None) -> RunningBroker:
        """Start on free ports; try others where somebody was faster to take one."""
        attempts = PORT_ATTEMPTS if port is None else 1
        for attempt in range(1, attempts + 1):
            free = free_ports(3)
            ports = Ports(port or free[0], free[1], free[2], self._advertised_port)
            self._process = self._broker()  # with a log of its own
            try:
                return await self._start(ports)
            except BaseException as error:
                await self._process.kill()
                taken = isinstance(error, BrokerError) and self._lacks_a_port()
                if not taken or attempt == attempts:
                    raise
        raise AssertionError  # the last attempt returns or raises

    async def go(self, *, keep: bool) -> None:
        """End the node: in order where its data are kept, at once where nobody will read them."""
        await (self._process.stop() if keep else self._process.kill())

    async def _start(self, ports: Ports) -> RunningBroker:
        data = self._home / "data"
        settings = node_properties(
            ports, log_dirs=str(data), bind=LOOPBACK, advertise=LOOPBACK, extra=self._properties
        )
        self._config.touch(mode=0o600)  # it may hold keys and passwords
        self._config.write_text(render(settings))
        if not (data / "meta.properties").exists():
            await self._format()
        self._process.start()
        internal = f"{LOOPBACK}:{ports.internal}"
        await until_ready(internal, self._process)
        if self._lacks_a_port():  # the internal listener answers for a while all the same
            raise BrokerError(
                "the broker was refused one of its ports; its last lines:\n"
                f"{self._process.logs(LOG_LINES)}"
            )
        return RunningBroker(
            bootstrap_servers=f"{LOOPBACK}:{ports.client}",
            provider="maven",
            version=KAFKA_VERSION,
            runner=self._process,
            check_address=internal,
        )

    def _lacks_a_port(self) -> bool:
        """Whether somebody was faster to take one of the ports."""
        return _PORT_TAKEN in self._process.logs(_PORT_LINES)

    async def _format(self) -> None:
        """Prepare the data directory; Kafka starts on no other."""
        arguments = ["format", "--cluster-id", cluster_id(), "--config", str(self._config)]
        command = ["kafka.tools.StorageTool", *arguments]
        tool = self._jvm(_SHORT_LIVED, command, "format.log")
        tool.start()
        try:
            status = await tool.wait(FORMAT_S)
        except TimeoutError as error:
            raise BrokerError(f"formatting {self._home} took over {FORMAT_S:g} s") from error
        finally:
            await tool.kill()
        if status != 0:
            raise BrokerError(
                f"Apache Kafka refuses its settings (exit status {status}); check `properties`. "
                f"Its last lines:\n{tool.logs(12)}"
            )

    def _broker(self) -> ChildProcess:
        return self._jvm(_HEAP, ["kafka.Kafka", str(self._config)], "broker.log")

    def _jvm(self, flags: list[str], command: list[str], log: str) -> ChildProcess:
        options = [
            *flags,
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={LOG4J}",
            "-cp",
            f"{self._jars}/*",
        ]
        return ChildProcess(
            [str(self._java), *options, *command], log=self._home / log, cwd=self._home
        )


def cluster_id() -> str:
    """Return a new cluster id as Kafka writes them: 16 random bytes in URL-safe base64.

    Kafka's own tools avoid a leading dash, which would read as an option.
    """
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text
