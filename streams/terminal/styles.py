"""Colours of labels and verdicts on a terminal."""

from schemas.results import Verdict

VERDICT_STYLES = {
    Verdict.ON_TIME: "green",
    Verdict.DEGRADED: "yellow",
    Verdict.LATE: "red",
    Verdict.SHED: "magenta",
}
LABEL_STYLES = {"positive": "green", "negative": "red", "neutral": "blue"}
OTHER_LABELS = ("cyan", "magenta", "yellow", "blue", "green", "red")


def label_style(label: str) -> str:
    """Return the colour of a label; the same one every time."""
    return LABEL_STYLES.get(label) or OTHER_LABELS[sum(label.encode()) % len(OTHER_LABELS)]
