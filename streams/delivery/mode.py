"""What a worker can be told about delivery."""

from enum import StrEnum


class DeliveryMode(StrEnum):
    """What a subscriber may rely on when workers, brokers or connections fail."""

    AT_LEAST_ONCE = "at_least_once"
    """No event goes unanswered; an answer may come again, with the id that it had before."""
    EXACTLY_ONCE = "exactly_once"
    """No event goes unanswered, and who reads committed records only sees each answer once."""
