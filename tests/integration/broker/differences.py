"""What headrace needs of a broker, and which providers are known not to give it.

Every test of a capability names it: ``@pytest.mark.capability("tombstones")``. Where a difference
is listed for the provider of the run, the test is expected to fail, strictly: a broker that has
learnt better is noticed, and its line goes. What would not end by itself is skipped.
"""

from dataclasses import dataclass

CAPABILITIES = {
    # records
    "round_trip": "key, value and headers come back as sent, null header values too",
    "create_time": "the producer's timestamp is kept",
    "log_append_time": "a topic can have the broker's timestamps instead",
    "tombstones": "a null value stays null, an empty one empty",
    "gzip": "records compressed with gzip",
    "snappy": "records compressed with snappy",
    "lz4": "records compressed with lz4",
    "zstd": "records compressed with zstd",
    "idempotence": "a batch that is sent twice is stored once",
    "large_records": "records of 15 MB, on a topic that allows them",
    "size_limit": "records above `max.message.bytes` are refused",
    "order": "order within a partition, with many batches under way",
    "prompt_delivery": "a waiting consumer gets a new record at once",
    # topics
    "create_topics": "topics are created with partitions and settings",
    "topic_exists": "creating a topic that exists is an error of its own",
    "invalid_settings": "a setting that does not exist is refused",
    "list_topics": "topics are listed and described",
    "delete_topics": "topics are deleted",
    "no_auto_create": "writing to a topic that nobody created is an error",
    # reading
    "offsets_by_time": "offsets are found by timestamp",
    "beginning_and_end": "beginning and end offsets",
    "offset_reset": "without a committed offset, reading starts where `auto_offset_reset` says",
    "offset_out_of_range": "an offset that does not exist is told as such",
    "fetch_waits": "an empty fetch waits for `fetch_max_wait_ms`",
    "fetch_limits": "a fetch brings no more than its size limits allow",
    "fetch_progress": "a record larger than the limits is still delivered",
    "pause": "a paused partition delivers nothing, and nothing is lost on the way",
    # groups
    "committed_offsets": "a group's offsets are kept and read back",
    "start_at_committed": "a new member starts at the committed offset",
    "sharing": "two members share the partitions",
    "handover": "a member that leaves hands its partitions over at once",
    "eviction": "a member that crashed is missed after its session timeout",
    "commit_while_revoked": "a commit while partitions are being revoked is accepted",
    "commit_during_rebalance": "commits during a rebalance end",
    "expelled_commit": "a commit from an expelled member is refused",
    "stale_commit": "a commit from an older generation is refused",
    # transactions
    "transaction_commit": "what a transaction wrote is seen once it is committed, not before",
    "transaction_abort": "what an aborted transaction wrote is never seen",
    "commit_after_abort": "a reader sees a commit that follows an aborted transaction",
    "transactional_offsets": "offsets are committed with the transaction",
    "fencing": "a second producer with the same transactional id fences the first",
    "transaction_timeout": "a forgotten transaction is aborted after its time-out",
    # kill -9
    "durable_records": "acknowledged records survive kill -9, in order",
    "durable_topics": "topics and their settings survive kill -9",
    "durable_offsets": "committed offsets survive kill -9",
}
"""By the name that tests are marked with."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A capability that a provider lacks.

    Attributes:
        why: What was seen instead.
        ends: Whether a test of it ends; otherwise it is skipped.
    """

    why: str
    ends: bool = True


_LOST = Difference("what was acknowledged in the last second before the kill is lost")
_EMBEDDED = {
    "no_auto_create": Difference("the topic is created without a word"),
    "fetch_waits": Difference(
        "an empty fetch is answered at once, so the client asks without pause"
    ),
    "fetch_limits": Difference("a fetch brings all that there is, whatever its limits"),
    "eviction": Difference("6 s after its session timeout it still has its partitions"),
    "commit_while_revoked": Difference(
        "the commit is refused, and the new member waits in vain", ends=False
    ),
    "commit_during_rebalance": Difference(
        "commits are refused, and the group never settles", ends=False
    ),
    "expelled_commit": Difference(
        "nobody is expelled, and the successor waits in vain", ends=False
    ),
    "commit_after_abort": Difference("a live reader sees nothing more for at least 5 s"),
    "transaction_timeout": Difference("5 s after its time-out it still holds readers up"),
    "durable_records": _LOST,
    "durable_topics": _LOST,
    "durable_offsets": _LOST,
}
DIFFERENCES = {("embedded", name): difference for name, difference in _EMBEDDED.items()}
"""By provider and capability. Apache Kafka has none, whoever runs it."""
