"""What a worker measures its engine on."""

from schemas.events import Modality
from streams.warm_up import warm_up_examples
from tests.fakes.engine import FakeEngine


def test_examples_are_of_many_lengths() -> None:
    """Texts of one length would make batches look cheaper than they will be."""
    for modality in (Modality.NEWS, Modality.TRANSCRIPT):
        lengths = {
            example.tokens for example in warm_up_examples(FakeEngine(modalities=[modality]))
        }
        assert len(lengths) >= 8


def test_an_engine_without_text_gets_no_examples() -> None:
    """Its costs are learned from the first batches."""
    assert warm_up_examples(FakeEngine(modalities=[Modality.CAMERA])) == []
