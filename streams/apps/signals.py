"""The app ``signals``: results of news become signals of instruments."""

from collections.abc import Iterator

import msgspec

from schemas.derived import encode_signal
from schemas.results import Classification
from streams.apps.keyed import KeyedApp, Step
from streams.apps.sentiment import Evidence, SentimentSettings, add, evidence_of, signal_as_of

_PART = msgspec.json.Decoder(Evidence)
_STATE = msgspec.json.Decoder(tuple[Evidence, ...])


def signals(settings: SentimentSettings | None = None) -> KeyedApp:
    """Return the app; its table holds the evidence of each ticker."""
    chosen = settings or SentimentSettings()

    def spread(result: Classification) -> Iterator[tuple[str, bytes]]:
        evidence = evidence_of(result, chosen.polarities)
        if evidence is not None:
            part = msgspec.json.encode(evidence)
            for ticker in dict.fromkeys(result.tickers):
                yield ticker, part

    def step(ticker: str, state: bytes | None, part: bytes) -> Step | None:
        new = _PART.decode(part)
        kept = add(() if state is None else _STATE.decode(state), new, chosen)
        if kept is None:
            return None
        signal = signal_as_of(ticker, kept, new, chosen)
        derived = () if signal is None else (encode_signal(signal),)
        return Step(msgspec.json.encode(kept), derived)

    return KeyedApp("signals", ("results.news",), "signals.news", spread, step)
