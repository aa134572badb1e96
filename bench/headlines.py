"""Headline-like texts: made up, varied, 5 to 20 words, the same for the same seed."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

COMPANIES = (
    "Alder Rail", "Borealis Foods", "Cobalt Harbour", "Dunmore Steel", "Eastgate Bank",
    "Fennimore Air", "Glasswing Chips", "Halyard Energy", "Ironbridge Motors", "Juniper Pharma",
    "Kestrel Telecom", "Larkspur Retail", "Meridian Cement", "Northlight Solar", "Oakhurst Mining",
    "Pinewood Paper", "Quayside Shipping", "Redfern Insurance", "Silverlake Media",
    "Tamarind Hotels",
)  # fmt: skip
SUBJECTS = (
    "the central bank", "the regulator", "the finance ministry", "analysts", "the board",
    "bond investors", "copper miners", "airline passengers", "the tax office", "a consortium",
    "the largest shareholder", "factory owners", "grain exporters", "mortgage lenders",
)  # fmt: skip
VERBS = (
    "raises", "cuts", "reaffirms", "lowers", "beats", "misses", "suspends", "doubles", "delays",
    "approves", "rejects", "reviews", "halves", "withdraws", "expands", "revises",
)  # fmt: skip
OBJECTS = (
    "full-year guidance", "the quarterly dividend", "its profit forecast", "a share buyback",
    "production targets", "capital spending plans", "the benchmark rate", "an acquisition offer",
    "its debt rating", "hiring plans", "fuel surcharges", "the pension deficit", "export quotas",
    "the delivery schedule", "an antitrust settlement", "its order backlog",
)  # fmt: skip
REASONS = (
    "as demand weakens", "after a strong quarter", "on higher energy prices",
    "amid supply disruptions", "despite record revenue", "following a court ruling",
    "as input costs ease", "ahead of an extraordinary meeting", "after the strike ends",
    "on currency losses", "as refinancing closes", "after an unexpected audit finding",
)  # fmt: skip
TAILS = (
    "shares fall {n} percent", "shares climb {n} percent", "stock little changed in early trading",
    "margins narrow by {n} basis points", "{n} jobs affected at two northern plants",
    "investors had expected less", "deal valued at {n} million", "sources close to the talks say",
    "chief executive to step down in spring", "volumes highest in {n} weeks",
)  # fmt: skip


def synthetic(seed: int) -> Iterator[str]:
    """Yield headlines without end."""
    chosen = random.Random(seed)  # noqa: S311 - texts for a load, not secrets
    while True:
        subject = chosen.choice(COMPANIES if chosen.random() < 0.7 else SUBJECTS)
        parts = [subject, chosen.choice(VERBS), chosen.choice(OBJECTS)]
        if chosen.random() < 0.75:
            parts.append(chosen.choice(REASONS))
        if chosen.random() < 0.5:
            parts[-1] += ","
            parts.append(chosen.choice(TAILS).format(n=chosen.randint(2, 900)))
        if chosen.random() < 0.25:
            parts += ["while", chosen.choice(COMPANIES), chosen.choice(VERBS)]
            parts.append(chosen.choice(OBJECTS))
        text = " ".join(parts)
        yield text[0].upper() + text[1:]


def from_log(path: Path) -> list[str]:
    """Return the texts of a JSON-lines log, from its ``headline`` or ``text`` fields.

    Raises:
        SystemExit: The file has a line without either.
    """
    texts: list[str] = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            row = json.loads(line)
            text = row.get("headline") or row.get("text")
            if not isinstance(text, str):
                raise SystemExit(f"{path}:{number}: has neither headline nor text")
            texts.append(text)
    if not texts:
        raise SystemExit(f"{path}: holds no line; give a log with at least one headline")
    return texts
