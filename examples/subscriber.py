"""Print signals: what a trading or monitoring system makes of results.

A signal here is a confident label other than neutral that came before its deadline:
python examples/subscriber.py --min-score 0.8
"""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys

from schemas import HeadraceError, Verdict
from streams.subscription import subscribe


async def follow(arguments: argparse.Namespace) -> None:
    """Print signals until cancelled."""
    results = subscribe(
        arguments.topic,
        bootstrap_servers=arguments.bootstrap_servers,
        group=arguments.group,
        start=arguments.resume or ("beginning" if arguments.from_beginning else "end"),
        verdicts={Verdict.ON_TIME, Verdict.DEGRADED},
        min_confidence=arguments.min_score,
    )
    try:
        async for result in results:
            if result.label != "neutral":
                print(f"{result.label} {max(result.scores.values()):.2f} {result.event_id}")
                sys.stdout.flush()
            if arguments.group:
                await results.commit()
    finally:
        if not arguments.group and results.token:
            print(f"subscriber: go on with --resume '{results.token}'", file=sys.stderr)


async def until_stopped(arguments: argparse.Namespace) -> None:
    """Follow until SIGTERM or Ctrl-C."""
    following = asyncio.create_task(follow(arguments))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, following.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await following


def main() -> int:
    """Follow a topic; return the exit status."""
    parser = argparse.ArgumentParser(description="Print signals from results, each once.")
    parser.add_argument("--bootstrap-servers", default="localhost:9092", metavar="H:P")
    parser.add_argument("--topic", default="results.news")
    parser.add_argument("--group", help="consumer group; without one, nothing is committed")
    parser.add_argument("--min-score", type=float, default=0.7, help="least probability [0.7]")
    parser.add_argument("--from-beginning", action="store_true", help="what is there already, too")
    parser.add_argument("--resume", metavar="TOKEN", help="go on where an earlier run stopped")
    arguments = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # we say ourselves what is wrong
    try:
        asyncio.run(until_stopped(arguments))
    except HeadraceError as error:
        print(f"subscriber: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
