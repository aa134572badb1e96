"""Send headlines as CloudEvents, each with a budget: what a feed handler does.

python examples/producer.py "Harbour operator raises its forecast"
python examples/producer.py --budget-ms 80 --priority high < headlines.txt
"""

import argparse
import asyncio
import contextlib
import logging
import sys
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas import HeadraceError, NewsEvent, encode_event


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Send headlines, one event each.")
    parser.add_argument("headlines", nargs="*", help="without any, the lines of standard input")
    parser.add_argument("--bootstrap-servers", default="localhost:9092", metavar="H:P")
    parser.add_argument("--topic", default="events.news")
    parser.add_argument("--source", default="/examples/producer", help="who reports")
    parser.add_argument("--key", help="keeps the events of a key, and their results, in order")
    parser.add_argument("--budget-ms", type=float, default=150.0, help="of each event [150]")
    parser.add_argument("--priority", help="0 to 9, or low, normal, high")
    return parser.parse_args()


async def send(arguments: argparse.Namespace, headlines: Iterable[str]) -> int:
    """Send one event per headline; return how many the broker has acknowledged."""
    producer = AIOKafkaProducer(
        bootstrap_servers=arguments.bootstrap_servers, enable_idempotence=True, acks="all"
    )
    acknowledgements = []
    try:
        await producer.start()
        for headline in headlines:
            event = NewsEvent(
                id=uuid.uuid4().hex, headline=headline, published_at=datetime.now(UTC)
            )
            # Checks the event against the contract: a mistake shows here, not as a dead letter.
            outbound = encode_event(
                event,
                key=arguments.key.encode() if arguments.key else None,
                source=arguments.source,
                budget_ms=arguments.budget_ms,
                priority=arguments.priority,
            )
            sent = await producer.send(
                arguments.topic, outbound.value, key=outbound.key, headers=outbound.headers
            )
            acknowledgements.append(sent)
            print(f"{event.id}  {headline}")
        await asyncio.gather(*acknowledgements)
    finally:
        with contextlib.suppress(KafkaError):
            await producer.stop()
    return len(acknowledgements)


def main() -> int:
    """Send what was asked for; return the exit status."""
    arguments = parse_arguments()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # we say ourselves what is wrong
    lines = arguments.headlines or (line.strip() for line in sys.stdin)
    try:
        count = asyncio.run(send(arguments, (line for line in lines if line)))
    except HeadraceError as error:
        print(f"producer: {error}", file=sys.stderr)
        return 1
    except (KafkaError, ValueError) as error:
        print(f"producer: {error}; `headrace broker` starts a broker", file=sys.stderr)
        return 1
    print(f"{count} events acknowledged by {arguments.bootstrap_servers}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
