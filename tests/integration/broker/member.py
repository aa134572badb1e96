"""A member of a consumer group in a process of its own, which can be killed.

``python member.py SERVERS TOPIC GROUP SESSION_TIMEOUT_MS`` writes how many partitions it owns, on
one line each time that changes.
"""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer


async def main(servers: str, topic: str, group: str, session_timeout_ms: str) -> None:
    """Consume until killed."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=servers,
        group_id=group,
        session_timeout_ms=int(session_timeout_ms),
        heartbeat_interval_ms=300,
        enable_auto_commit=False,
    )
    await consumer.start()
    told = 0
    while True:
        await consumer.getmany(timeout_ms=50)
        if len(consumer.assignment()) != told:
            told = len(consumer.assignment())
            sys.stdout.write(f"{told}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
