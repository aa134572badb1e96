"""Read results, drop repetitions, print signals: what a trading or monitoring system does.

A signal here is a confident label other than neutral that came before its deadline:
python examples/subscriber.py --min-score 0.8
"""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections import OrderedDict

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from schemas import Classification, ContractError, Verdict, decode_result

REMEMBERED = 100_000  # repetitions come within the time that a group needs to recover


class Seen:
    """The ids of the newest results."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def is_new(self, result_id: str) -> bool:
        """Remember an id; say whether it was unknown."""
        if result_id in self._ids:
            return False
        self._ids[result_id] = None
        if len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)
        return True


def is_signal(result: Classification, min_score: float) -> bool:
    """Say whether to act: confident, not neutral, and neither late nor shed."""
    timely = result.verdict not in (Verdict.LATE, Verdict.SHED)
    return timely and result.label != "neutral" and max(result.scores.values()) >= min_score


async def follow(arguments: argparse.Namespace) -> None:
    """Print signals until cancelled."""
    consumer = AIOKafkaConsumer(
        arguments.topic,
        bootstrap_servers=arguments.bootstrap_servers,
        group_id=arguments.group,
        auto_offset_reset="earliest" if arguments.from_beginning else "latest",
        isolation_level="read_committed",
    )
    seen = Seen()
    try:
        await consumer.start()
        async for record in consumer:
            try:
                result = decode_result(record.value or b"")
            except ContractError as error:
                print(f"subscriber: offset {record.offset}: {error}", file=sys.stderr)
                continue
            result_id = dict(record.headers).get("ce_id", b"").decode()
            if seen.is_new(result_id) and is_signal(result, arguments.min_score):
                score = max(result.scores.values())
                print(f"{result.label} {score:.2f} {result.event_id}", flush=True)
    finally:
        await consumer.stop()


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
    arguments = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # we say ourselves what is wrong
    try:
        asyncio.run(until_stopped(arguments))
    except (KafkaError, ValueError) as error:
        print(f"subscriber: {error}; `headrace broker` starts a broker", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
