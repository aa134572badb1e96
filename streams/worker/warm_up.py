"""What a worker measures its engine on before the first event pays for it."""

from inference.engine import Encoded, Engine
from schemas.events import CameraEvent, Event, Modality, NewsEvent, TranscriptEvent
from streams.steel import FLAWS, draw_steel

# Short and long, plain and puzzling: a batch costs what its hardest event needs, and texts of one
# kind would all leave the model at its first exit.
_HEADLINES = (
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


_SEGMENTS = (
    "hi my card went missing on the bus this morning and i would like it blocked please",
    "yes",
    "the transfer to my landlord has been pending since friday and he keeps asking me about it",
    "can you tell me when the new card gets here",
    "i topped up fifty but my balance has not moved at all",
    "no it still says declined",
    "what do you charge if i take out money abroad",
    "okay let me find the letter one second it should be here somewhere",
    "there is a payment to a shop i have never heard of",
    "how do i change my pin",
    "right so i was at the counter and the machine kept the card and then it gave me nothing",
    "that is fine thank you",
    "i would like to close the account",
    "my surname changed when i got married so what do you need from me",
    "it asks for a code and the code never comes",
    "sorry could you say that again",
    "is there a limit on how much i can send in one go because it is for a car",
    "i was charged twice for the same thing",
    "do you take cards from other banks for a top up",
    "the app wants a photo of my passport but it will not accept any of the pictures i take",
    "which exchange rate did you use there",
    "i need the refund before the end of the month if that is at all possible",
    "hello are you still there",
    "can my daughter have an account she is fifteen",
    "the direct debit went out a week early and now the rent is going to bounce",
    "i only got half of the cash that i asked for",
    "please just send me a new one",
    "why was my identity checked again i did all of that last year when i joined",
    "so the virtual card works online but not in this one shop",
    "apple pay stopped working on my new phone",
    "good morning it is about a cheque that i paid in",
    "never mind i found it",
)
_PICTURES = 8
"""Of each flaw."""


def warm_up_examples(engine: Engine, modality: Modality) -> list[Encoded]:
    """Return inputs of a modality that differ in length and difficulty.

    Args:
        engine: Encodes them.
        modality: One that the engine can read.
    """
    return engine.encode(warm_up_events(modality))


def warm_up_events(modality: Modality) -> list[Event]:
    """Return them before they are encoded."""
    match modality:
        case Modality.NEWS:
            return [NewsEvent(id="warm-up", headline=text) for text in _HEADLINES]
        case Modality.TRANSCRIPT:
            return [TranscriptEvent(id="warm-up", text=text) for text in _SEGMENTS]
        case Modality.CAMERA:
            return [
                CameraEvent(id="warm-up", image=draw_steel(flaw, seed))
                for seed in range(_PICTURES)
                for flaw in FLAWS
            ]
