"""Membership of a consumer group: polling, and giving partitions back in good order."""
