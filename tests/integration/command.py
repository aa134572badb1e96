"""The ``headrace`` command as a process, as a script would call it."""

import asyncio
import os
import sys
from dataclasses import dataclass

import orjson

PATIENCE_S = 120.0


@dataclass(frozen=True)
class Done:
    """A command that has ended.

    Attributes:
        status: Its exit code.
    """

    status: int
    stdout: str
    stderr: str

    @property
    def complaint(self) -> str:
        """The one line of an error; more than one, or none, fails the test."""
        assert "Traceback" not in self.stderr
        lines = [
            line for line in self.stderr.splitlines() if line.startswith(("headrace: ", "Error: "))
        ]
        assert len(lines) == 1, self.stderr
        return lines[0]

    @property
    def last_json(self) -> dict[str, object]:
        """The last line of the output as JSON."""
        document: dict[str, object] = orjson.loads(self.stdout.splitlines()[-1])
        return document


async def start(*arguments: str, **variables: str) -> asyncio.subprocess.Process:
    """Start ``headrace ARGUMENTS`` with pipes, in an environment without settings but these."""
    kept = {name: value for name, value in os.environ.items() if "HEADRACE" not in name}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=kept | {"COLUMNS": "200"} | variables,
    )


async def finish(process: asyncio.subprocess.Process, given: bytes = b"") -> Done:
    """Wait for a command's end; kill it where that does not come."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            stdout, stderr = await process.communicate(given)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Done(process.returncode, stdout.decode(), stderr.decode())


async def headrace(*arguments: str, given: bytes = b"", **variables: str) -> Done:
    """Run ``headrace ARGUMENTS`` to its end."""
    return await finish(await start(*arguments, **variables), given)
