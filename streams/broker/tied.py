"""Run a command that the kernel kills as soon as the process that started it has died.

Started as a script, ``python -I -S tied.py PARENT COMMAND...``: no code of ours runs between a fork
and an exec in a process that has threads, and the command keeps the process id. Outside Linux the
command runs untied.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Tie this process to its parent, then become the command.

    Args:
        arguments: The parent's process id, then the command; its program as an absolute path.
    """
    parent = int(arguments[0])
    command = arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel knew of the tie
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - becoming the command is the point


if __name__ == "__main__":
    main(sys.argv[1:])
