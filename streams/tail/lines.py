"""What ``headrace tail`` says of a record, on one line for people."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from rich.text import Text

from schemas.derived import AlertState
from schemas.results import Verdict
from streams.terminal.styles import VERDICT_STYLES, label_style
from streams.topics import TopicKind


def line_of(document: dict[str, Any], kind: TopicKind) -> Text:
    """Return the line of a record of a kind; as JSON where it is none of the kind."""
    known_by, write = _LINES.get(kind, ("", None))
    if write is None or known_by not in document:
        return Text(orjson.dumps(document).decode())
    return write(document)


def _result(result: dict[str, Any]) -> Text:
    label = result["label"] or "-"
    verdict = Verdict(result["verdict"])
    line = Text()
    line.append(f"{label:<9} ", style=label_style(label))
    line.append(f"{result['scores'].get(label, 0.0):4.2f} ")
    line.append(f"{verdict.replace('_', ' '):<9}", style=VERDICT_STYLES[verdict])
    line.append(f"{result['latency']['total_ms']:>7,.0f} ms  ")
    line.append(result["event_id"])
    if tickers := result.get("tickers"):
        line.append(f"  {' '.join(tickers)}", style="bold")
    origin = result.get("answered_from")
    if origin not in (None, "model", "none"):
        line.append(f"  from {origin.replace('_', ' ')}", style="dim")
    if result.get("reason"):
        line.append(f"  {result['reason']}", style="dim")
    return line


def _dead_letter(letter: dict[str, Any]) -> Text:
    source = letter["source"]
    line = Text()
    line.append(f"{letter['error']:<12}", style="red")
    line.append(f"{source['topic']}/{source['partition']}/{source['offset']}  ")
    line.append(str(letter.get("message")))
    return line


def _signal(signal: dict[str, Any]) -> Text:
    direction = signal["direction"]
    line = Text()
    line.append(f"{direction:<8} ", style=label_style(direction))
    line.append(f"{signal['ticker']:<13} ", style="bold")
    line.append(f"strength {signal['strength']:4.2f}  confidence {signal['confidence']:4.2f}  ")
    line.append(f"of {signal['evidence']}")
    if signal["surprise"] is not None:
        line.append(f"  surprise {signal['surprise']:+.1f}")
    if signal["revision"]:
        line.append(f"  revision {signal['revision']}", style="dim")
    return line


def _alert(alert: dict[str, Any]) -> Text:
    raised = alert["state"] == AlertState.RAISED.value
    line = Text()
    line.append(f"{alert['state']:<8}", style="red" if raised else "green")
    line.append(f"{alert['rule']}  {alert['scope']} ")
    line.append(alert["subject"], style="bold")
    line.append(f"  {alert['value']:4.2f} {'>=' if raised else '<='} {alert['threshold']:4.2f}  ")
    line.append(f"of {alert['evidence']}")
    return line


def _session(state: dict[str, Any]) -> Text:
    line = Text(f"{state['session_id']}", style="bold")
    plural = "" if state["segments"] == 1 else "s"
    line.append(f"  {state['segments']} segment{plural}", style="not bold")
    intents = (f"{one['label']} {one['count']}" for one in state["intents"])
    line.append(f"  {', '.join(intents) or 'no intent yet'}", style="not bold cyan")
    if state["mood"] is not None:
        line.append(f"  mood {state['mood']:+.2f}", style="not bold")
    if question := state["open_question"]:
        who = question["speaker"] or "somebody"
        line.append(f"  {who} waits for an answer", style="not bold yellow")
    return line


def _fused(answer: dict[str, Any]) -> Text:
    line = Text(answer["key"], style="bold")
    for modality, part in answer["parts"].items():
        label = part["label"] or "-"
        line.append(f"  {modality} ", style="not bold")
        line.append(label, style=f"not bold {label_style(label)}")
    if missing := answer["missing"]:
        line.append(f"  without {', '.join(missing)}", style="not bold dim")
    if answer.get("ambiguous"):
        line.append(f"  ambiguous, {answer['confidence']:.1f}", style="not bold yellow")
    if answer["revision"]:
        line.append(f"  revision {answer['revision']}", style="not bold dim")
    return line


_LINES: Mapping[TopicKind, tuple[str, Callable[[dict[str, Any]], Text]]] = {
    TopicKind.RESULTS: ("verdict", _result),
    TopicKind.DEAD_LETTERS: ("error", _dead_letter),
    TopicKind.SIGNALS: ("direction", _signal),
    TopicKind.ALERTS: ("rule", _alert),
    TopicKind.SESSIONS: ("open_question", _session),
    TopicKind.FUSED: ("parts", _fused),
}
"""By what field a document of the kind is known, and how it is written."""
