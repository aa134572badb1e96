"""CPU time and memory of the processes that take part, and of everything else on the machine."""

import time
from dataclasses import dataclass, field

import psutil

MEBIBYTE = 1024 * 1024


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def listening(bootstrap_servers: str) -> list[psutil.Process]:
    """Return the broker's process, found by its port; none if it runs elsewhere."""
    port = int(bootstrap_servers.split(",", maxsplit=1)[0].rpartition(":")[2])
    pids = {
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
        and connection.laddr.port == port
        and connection.pid
    }
    return [psutil.Process(pid) for pid in sorted(pids)]


def memory(processes: list[psutil.Process]) -> dict[str, float]:
    """Return resident and unshared memory in MiB, summed over the processes."""
    found = [process.memory_full_info() for process in processes if process.is_running()]
    return {
        "processes": len(found),
        "rss_mib": sum(info.rss for info in found) / MEBIBYTE,
        "uss_mib": sum(info.uss for info in found) / MEBIBYTE,
    }


@dataclass
class Usage:
    """CPU seconds by role between two moments.

    Attributes:
        roles: Whose processes to add up, by role.
    """

    roles: dict[str, list[psutil.Process]]
    _before: dict[str, float] = field(default_factory=dict)
    _started: float = 0.0

    def start(self) -> None:
        """Take the first reading."""
        self._before = self._read()
        self._started = time.monotonic()

    def cores(self) -> dict[str, float]:
        """Return the cores that each role kept busy since :meth:`start`.

        ``other`` is what ran beside the benchmark, time stolen by the hypervisor included.
        """
        seconds = time.monotonic() - self._started
        now = self._read()
        used = {role: max(0.0, now[role] - self._before[role]) / seconds for role in now}
        machine = used.pop("machine")
        used["other"] = max(0.0, machine - sum(used.values()))
        return used

    def _read(self) -> dict[str, float]:
        seconds = {role: sum(map(_cpu_s, processes)) for role, processes in self.roles.items()}
        times = psutil.cpu_times()
        seconds["machine"] = sum(times) - times.idle - times.iowait - times.guest - times.guest_nice
        return seconds


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
