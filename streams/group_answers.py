"""What a broker answers about a group's offsets, taken at its word.

While a broker loads a group, after a restart or a change of leader, it answers a question for
offsets with an error and no offset. aiokafka (0.14) looks for errors beside offsets alone: its
consumer takes that for a group that has committed nothing, and begins with the oldest event; its
administration client returns nothing. Both ask again as soon as they see the error.
"""

from typing import Any

from aiokafka.errors import for_code
from aiokafka.protocol.commit import OffsetFetchRequest


def heed_errors(client: Any) -> None:
    """Let questions for offsets fail by the error of the whole answer.

    Args:
        client: The ``AIOKafkaClient`` inside a consumer or administration client, before it is
            started.
    """
    send = client.send

    async def checked(node_id: int, request: Any, **options: Any) -> Any:
        response = await send(node_id, request, **options)
        if isinstance(request, OffsetFetchRequest) and (code := getattr(response, "error_code", 0)):
            raise for_code(code)(f"the group's offsets: {request}")
        return response

    client.send = checked
