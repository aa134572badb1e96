"""Parts of other packages: found by their entry points, refused with a reason where they cannot be.

The packages are installed for real, as far as Python can tell: metadata and modules on its path.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import transformers

from inference import Optimizer
from inference.clock import SystemClock
from inference.cost import Coefficients
from inference.registry import Group, load, names
from inference.scheduler import Scheduler
from inference.settings import SchedulerSettings
from inference.strategies import make_strategy
from inference.work import Completion
from schemas.errors import ConfigurationError
from schemas.events import NewsEvent
from tests.fakes.engine import EFFORTS, FakeEngine, encode_words
from tests.fakes.hub_models import write_onnx_model, write_text_model
from tests.fakes.installed import declared, installed
from tests.fakes.sole_device import SoleDevice
from tests.fakes.works import NOW, FixedCost, work

EXTENSION = Path(__file__).parents[3] / "examples" / "extension"


@pytest.fixture
def extension(tmp_path: Path) -> Iterator[None]:
    """Install the example package."""
    with installed(tmp_path / "site", "headrace-extension", declared(EXTENSION), EXTENSION):
        yield


@pytest.mark.usefixtures("extension")
def test_a_strategy_of_another_package_is_listed_beside_ours():
    """Nothing sets ours apart."""
    assert names(Group.BATCH_STRATEGIES) == ["dynamic_priority", "fifo", "shortest_first", "static"]
    assert "openvino" in names(Group.BACKENDS)


@pytest.mark.usefixtures("extension")
async def test_a_scheduler_runs_by_the_strategy_that_its_settings_name():
    """From the name in the settings to the order of the answers."""
    answered: list[Completion] = []
    settings = SchedulerSettings(batch_strategy="shortest_first", max_batch_events=1)
    scheduler = Scheduler(FakeEngine(), settings, SystemClock(), answered.extend)
    now = SystemClock().monotonic()
    scheduler.offer(
        [
            work(handle=words, arrival=now, budget=60, ids=encode_words(["x"] * words).data)
            for words in (9, 2, 5)
        ]
    )
    await scheduler.start()
    assert await scheduler.drain(10)
    await scheduler.close()
    assert [one.work.handle for one in answered] == [2, 5, 9]


@pytest.mark.usefixtures("extension")
def test_the_example_does_not_let_a_long_text_wait_for_ever():
    """After half a second it goes first."""
    settings = SchedulerSettings(batch_strategy="shortest_first", max_batch_events=1)
    target = SoleDevice(settings, EFFORTS, FixedCost(Coefficients(0.001)))
    target.admit([work(90, handle="long"), work(1, handle="short", arrival=NOW + 0.5)], NOW)
    _, flight = target.step(NOW + 0.5)
    assert flight is not None
    assert [one.handle for one in flight.works] == ["long"]


@pytest.mark.usefixtures("extension")
def test_a_backend_of_another_package_runs_a_model(tmp_path: Path):
    """Asked for by its name; it answers as the model that the file was made from."""
    pytest.importorskip("openvino", reason="needs the package openvino")
    pytest.importorskip("onnx", reason="needs the package onnx to write a file")
    path = write_onnx_model(tmp_path / "model")
    engine = Optimizer(path, backend="openvino").compile("fp32")
    texts = ("profit rises", "court strike deal weak outlook after quarter")
    encoded = engine.encode([NewsEvent(id="1", headline=text) for text in texts])
    answers = engine.run(engine.prepare(encoded), engine.efforts[0])
    network = transformers.AutoModelForSequenceClassification.from_pretrained(path.parent)
    with torch.inference_mode():
        logits = [network(input_ids=torch.tensor([one.data])).logits for one in encoded]
    expected = torch.cat(logits).softmax(dim=1)
    assert torch.allclose(torch.tensor([one.scores for one in answers]), expected, atol=1e-4)
    assert Optimizer(path).backend == "onnxruntime", "another's backend is not taken unasked"


def test_a_family_of_another_package_runs_its_own_model_type(tmp_path: Path):
    """A directory of a model type that nobody else knows."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "own_family.py").write_text(
        "from inference.backends.dense import BACKEND as DENSE\n"
        "from inference.backends import Source\n"
        "class Family:\n"
        "    def accepts(self, source):\n"
        "        return True\n"
        "    def load(self, source, request):\n"
        "        return DENSE.load(\n"
        "            Source(source.path, {**source.config, 'model_type': 'bert'}), request)\n"
        "FAMILY = Family()\n"
    )
    directory = write_text_model(tmp_path / "model")
    config = directory / "config.json"
    config.write_text(config.read_text().replace('"model_type": "bert"', '"model_type": "own"'))
    points = {"headrace.models": {"own": "own_family:FAMILY"}}
    with installed(tmp_path / "site", "own-family", points, package):
        engine = Optimizer(directory).compile("fp32")
        assert engine.backend == "packed"
        encoded = engine.encode([NewsEvent(id="1", headline="profit rises")])
        assert len(engine.run(engine.prepare(encoded), engine.efforts[0])) == 1


def test_a_name_that_two_packages_claim_is_refused(tmp_path: Path):
    """Rather than settled by the order of the path."""
    points = {"headrace.batch_strategies": {"fifo": "elsewhere:Fifo"}}
    with (
        installed(tmp_path, "claims-fifo", points),
        pytest.raises(ConfigurationError, match=r"'fifo' is declared by.*claims-fifo, headrace"),
    ):
        load(Group.BATCH_STRATEGIES, "fifo")


def test_a_part_that_cannot_be_imported_is_told_with_its_place(tmp_path: Path):
    """A package of which a half is missing."""
    points = {"headrace.batch_strategies": {"torn": "no_such_module:Torn"}}
    with (
        installed(tmp_path, "torn", points),
        pytest.raises(ConfigurationError, match=r"no_such_module:Torn cannot be imported"),
    ):
        make_strategy("torn", SchedulerSettings(), EFFORTS)


def test_a_part_that_is_gone_is_unknown(tmp_path: Path):
    """Once its package is uninstalled."""
    with installed(tmp_path, "headrace-extension", declared(EXTENSION), EXTENSION):
        assert load(Group.BATCH_STRATEGIES, "shortest_first").__name__ == "ShortestFirst"
    with pytest.raises(ConfigurationError, match="is not known"):
        load(Group.BATCH_STRATEGIES, "shortest_first")
