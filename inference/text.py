"""From text to token ids."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from inference.engine import Encoded
from schemas.errors import EngineError, InvalidEventError
from schemas.events import Event, NewsEvent, TranscriptEvent

TOKENIZER_FILE = "tokenizer.json"
MASK = "[MASK]"
USUAL_CHARACTERS, MOST_CHARACTERS = 16, 256
"""For each token that the model has room for: how much of a text is looked at first, and at most.

An article of 150,000 characters takes a tokenizer 100 ms, all but the first few hundred of them for
tokens that nobody reads, and the event loop waits; its beginning takes one. Where the usual part
does not fill the model (a line of spaces, a picture in base64), more is looked at, though no more
than takes some milliseconds.
"""
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", MASK)


class TextEncoder:
    """Tokenises texts in batches; the library does so without holding the interpreter's lock.

    Args:
        tokenizer: A fast tokenizer; its own padding is switched off.
        max_tokens: Length at which texts are truncated, special tokens included.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int) -> None:
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_tokens)
        # A text that spells "[SEP]" says just that; it does not end there.
        tokenizer.encode_special_tokens = True
        self.max_tokens = max_tokens
        self.vocabulary_size = 1 + max(tokenizer.get_vocab().values())
        self.mask: int = tokenizer.token_to_id(MASK) or 0
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, directory: Path, max_tokens: int) -> "TextEncoder":
        """Read ``tokenizer.json``.

        Raises:
            EngineError: The file is missing or damaged.
        """
        path = directory / TOKENIZER_FILE
        try:
            return cls(Tokenizer.from_file(str(path)), max_tokens)
        except Exception as error:  # the library raises nothing narrower
            raise EngineError(f"{path} cannot be read: {error}") from error

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, of its beginning if it is long."""
        usual, most = (self.max_tokens * each for each in (USUAL_CHARACTERS, MOST_CHARACTERS))
        encoded = self._ids([beginning(text, usual) for text in texts])
        more = [
            number
            for number, text in enumerate(texts)
            if len(text) > usual and len(encoded[number]) < self.max_tokens
        ]
        if more:
            again = self._ids([beginning(texts[number], most) for number in more])
            for number, ids in zip(more, again, strict=True):
                encoded[number] = ids
        return encoded

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [each.ids for each in self._tokenizer.encode_batch_fast(texts)]

    def encode_events(self, events: Sequence[Event]) -> list[Encoded]:
        """Tokenise what events say.

        Raises:
            InvalidEventError: An event is of a modality that says nothing.
        """
        texts = [text_of(event) for event in events]
        return [Encoded(tokens=len(ids), data=ids) for ids in self.encode(texts)]

    def save(self, directory: Path) -> None:
        """Write ``tokenizer.json``."""
        self._tokenizer.save(str(directory / TOKENIZER_FILE), pretty=False)


def beginning(text: str, characters: int) -> str:
    """Cut a text off at the end of a word, so that the words before it stay what they are.

    Args:
        text: Any.
        characters: Most that are left. A word that would take half of them with it is cut.
    """
    if len(text) <= characters:
        return text
    words = text[: characters + 1].rsplit(maxsplit=1)
    whole = words[0] if len(words) > 1 else ""
    return whole if 2 * len(whole) >= characters else text[:characters]


def text_of(event: Event) -> str:
    """Return what an event says.

    Raises:
        InvalidEventError: It is an image.
    """
    match event:
        case NewsEvent(headline=headline, body=body):
            return f"{headline}\n{body}" if body else headline
        case TranscriptEvent(text=text):
            return text
        case _:
            raise InvalidEventError(
                f"this model reads text and got a {type(event).__name__}; "
                "run events of its modality with a model trained on images"
            )
