"""One line of the table of newest results, and which lines somebody wants to see."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from multidict import MultiMapping

from schemas.errors import ConfigurationError
from schemas.events import Modality
from schemas.results import Classification, Verdict
from streams.gateway.page.boards import confidence_of

LONGEST = 200
"""Characters of a text that is searched for."""


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A result as the table shows it."""

    id: str
    topic: str
    modality: Modality
    at_ms: int
    what: str
    """Tickers, session and segment, or camera."""
    label: str | None
    confidence: float | None
    verdict: Verdict
    total_ms: float
    budget_ms: float
    layers: int
    experts: int
    answered_from: str
    reason: str | None = None
    revision: int = 0
    place: tuple[int, int] = (0, 0)
    """Partition and offset of the result's record."""


def row_of(result: Classification, topic: str, at_ms: int, place: tuple[int, int] = (0, 0)) -> Row:
    """Pick what is shown of a result, whose record is at a partition and offset."""
    what = " ".join(result.tickers)
    if result.session_id is not None:
        what = f"{result.session_id}#{result.segment}"
    elif result.camera_id is not None:
        what = result.camera_id
    return Row(
        id=result.event_id,
        topic=topic,
        modality=result.modality,
        at_ms=at_ms,
        what=what,
        label=result.label,
        confidence=confidence_of(result),
        verdict=result.verdict,
        total_ms=round(result.latency.total_ms, 1),
        budget_ms=result.latency.budget_ms,
        layers=result.effort.layers,
        experts=result.effort.experts,
        answered_from=result.answered_from.value,
        reason=result.reason,
        revision=result.revision,
        place=place,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFilter:
    """Which rows are wanted; what is empty is not asked.

    Attributes:
        sources: Modalities and topics; one of them is the row's.
        labels: One of them is its label.
        verdicts: One of them is its verdict.
        min_confidence: Least probability of its label, 0 to 1.
        text: Part of its id, or of its tickers, session or camera; case does not matter.
    """

    sources: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    verdicts: frozenset[str] = frozenset()
    min_confidence: float = 0.0
    text: str = ""

    def holds(self, row: Row) -> bool:
        """Say whether a row is wanted."""
        return (
            (not self.sources or row.topic in self.sources or row.modality.value in self.sources)
            and (not self.labels or row.label in self.labels)
            and (not self.verdicts or row.verdict.value in self.verdicts)
            and (self.min_confidence <= 0 or (row.confidence or 0.0) >= self.min_confidence)
            and (not self.text or self.text in f"{row.id} {row.what}".lower())
        )


_LISTS: Mapping[str, str] = {"source": "sources", "label": "labels", "verdict": "verdicts"}


def asked_rows(query: MultiMapping[str]) -> RowFilter:
    """Read which rows a request asks for.

    Raises:
        ConfigurationError: A parameter is unknown, or its value.
    """
    known = [*_LISTS, "min_confidence", "text"]
    for name in query:
        if name not in known:
            raise ConfigurationError(
                f"{name[:100]}: is no parameter; there are {', '.join(sorted(known))}"
            )
    given: dict[str, Any] = {
        field: frozenset(query.getall(name)) for name, field in _LISTS.items() if name in query
    }
    for verdict in given.get("verdicts", ()):
        if verdict not in set(Verdict):
            raise ConfigurationError(
                f"verdict: {verdict[:100]!r} is unknown; choose {', '.join(Verdict)}"
            )
    if "min_confidence" in query:
        given["min_confidence"] = _probability(query["min_confidence"])
    return RowFilter(**given, text=query.get("text", "").strip().lower()[:LONGEST])


def _probability(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise ConfigurationError(f"min_confidence: {text[:100]!r} is no probability; give 0 to 1")
    return number
