"""What a worker measures its engine on before the first event pays for it."""

from inference.engine import Encoded, Engine
from schemas.events import Event, Modality, NewsEvent, TranscriptEvent

# Short and long, plain and puzzling: a batch costs what its hardest event needs, and texts of one
# kind would all leave the model at its first exit.
_TEXTS = (
    "Shares of the company rose after it reported higher profits for the quarter",
    "Regulator neither clears nor blocks the merger of two grain traders, asks for more papers",
    "Dividend unchanged",
    "Despite record sales the toy maker warns that freight costs will eat into what it earns",
    "Mill town waits for news of its mill",
    "Bank to close forty branches by spring as customers move to their phones",
    "Chief executive steps down after eleven years; founder returns for an interim period",
    "Copper slips",
    "Lender's bad loans fall for a third quarter, though new ones grew faster than expected",
    "Port strike ends",
    "Carmaker recalls 12,000 vans over a faulty seat belt, says that the cost will be small",
    "Index flat in thin trade before the holiday",
    "Analysts split over airline's bet on long routes: bold, say some; reckless, say others",
    "Wheat exports to double if the rains hold, ministry says",
    "Board to meet on Thursday",
    "Chip maker beats forecasts but its outlook disappoints, shares swing between gains and losses",
    "Retailer wins appeal against a fine for late payment of suppliers",
    "Not the worst quarter that the shipbuilder has had, but near it",
    "Solar park on schedule and below budget",
    "Insurer to pay less for last year's floods than it had set aside",
    "Rumours of a bid lift a maker of bicycle parts that had lost half of its value since May",
    "New head of audit named",
    "Brewer raises prices for the second time this year and sells fewer bottles",
    "Telecom operator sells its towers to cut debt; rating agency takes note and waits",
    "Could the long decline of the department store be over?",
    "Fund that bet against the currency loses, then wins, then closes",
    "Pension deficit narrows",
    "Drug fails its last trial, company keeps its other eleven, investors keep calm",
    "Rail freight volumes unchanged from a year earlier",
    "Court to hear the case again, as neither side had asked",
    "Steel group idles a furnace for maintenance that it had put off twice",
    "Savings bank merges with its neighbour",
)


def warm_up_examples(engine: Engine) -> list[Encoded]:
    """Return inputs of different length and difficulty that the engine can read; maybe none."""
    events: list[Event] = []
    if Modality.NEWS in engine.modalities:
        events.extend(NewsEvent(id="warm-up", headline=text) for text in _TEXTS)
    elif Modality.TRANSCRIPT in engine.modalities:
        events.extend(TranscriptEvent(id="warm-up", text=text) for text in _TEXTS)
    return engine.encode(events) if events else []
