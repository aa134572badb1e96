"""The rules that batches and turns go by, by name."""

from enum import StrEnum


class Rule(StrEnum):
    """Why a batch holds the works that it does."""

    ALL = "all that waits fits into one batch"
    TIGHTEST = "least slack first"
    RESCUED = "works that full effort would finish too late, or only just, go first"
    AGED = "late work has waited for longer than ageing_ms"
    APART = "the higher priorities keep their effort, others give way"
    LOWERED = "the highest effort at which all can be met"
    PARTED = "not all can be met at any effort: what is lost least"
    LEADS = "the work with the least slack, although the estimates shed it or pass it over"
    CURIOUS = "nothing has run for long: one hopeless work, to learn what it costs"
    OTHER = "as its batch strategy orders"


class TurnRule(StrEnum):
    """Why it was a model's turn on the device."""

    ALONE = "no other model waits"
    STARVING = "got nothing for longer than ageing_ms"
    URGENT = "most urgent, and leaves the others in time"
    HARMLESS = "makes no other late"
    LEAST_SHARE = "has had the least of an overloaded device"
