"""Listening for HTTP."""

from aiohttp import web

from schemas.errors import ConfigurationError


async def listen(runner: web.AppRunner, host: str, port: int, *, setting: str) -> int:
    """Listen, and return the port that was taken; ``runner`` is cleaned up if that fails.

    Args:
        runner: Of the application.
        host: The address to listen on.
        port: 0 for a free one.
        setting: What names the port, for the error.

    Raises:
        ConfigurationError: The address cannot be listened on.
    """
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigurationError(
            f"{setting} {port}: cannot listen on {host}: {error.strerror}; choose another port"
        ) from error
    taken: int = runner.addresses[0][1]
    return taken
