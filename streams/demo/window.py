"""How many events may be unanswered at once, when a log is sent as fast as answers come back."""

import asyncio

from schemas.errors import EngineError

FIRST = 64
LEAST = 16
MOST = 2_000
AIM = 0.6
"""Share of the budget that latencies are steered to."""
GROWTH = 4.0
"""By how much the window grows while a whole window of answers is below the aim."""
CUT = 0.85
SILENCE_S = 20.0
"""Time without any answer after which none is expected any more."""


class AnswerWindow:
    """Widens while answers are quick and narrows when they take too much of their budget.

    Additive increase, multiplicative decrease, at most one decrease per window of answers, as TCP
    does it (Jacobson, "Congestion avoidance and control", 1988).
    """

    def __init__(self, silence_s: float = SILENCE_S) -> None:
        self.size = float(FIRST)
        self._silence_s = silence_s
        self._unanswered = 0
        self._until_cut = 0
        self._changed = asyncio.Event()

    async def enter(self) -> None:
        """Wait for room and take it.

        Raises:
            EngineError: Events are on their way, and no answer came for too long.
        """
        while self._unanswered >= self.size:
            self._changed.clear()
            try:
                async with asyncio.timeout(self._silence_s):
                    await self._changed.wait()
            except TimeoutError as error:
                raise EngineError(
                    f"{self._unanswered} events are on their way and no answer came for "
                    f"{self._silence_s:g} s; is the worker still in its group?"
                ) from error
        self._unanswered += 1

    def answered(self, latency_ms: float | None, budget_ms: float) -> None:
        """Give room back and learn from how long the answer took.

        Args:
            latency_ms: ``None`` for a dead letter, which teaches nothing.
            budget_ms: The event's budget.
        """
        self._unanswered = max(0, self._unanswered - 1)
        self._until_cut -= 1
        if latency_ms is not None and latency_ms <= AIM * budget_ms:
            self.size = min(MOST, self.size + GROWTH / self.size)
        elif latency_ms is not None and self._until_cut <= 0:
            self.size = max(LEAST, self.size * CUT)
            self._until_cut = int(self.size)
        self._changed.set()
