"""``headrace train`` and ``headrace evaluate``, as somebody with a table of texts types them."""

import asyncio
import csv
from pathlib import Path

import orjson
import pytest

from inference.training.teacher import teacher_directory
from schemas.errors import ConfigurationError
from tests.integration.command import Done, finish, headrace, start

PHRASES = {
    "down": ["sinks after a heavy loss", "warns of weak demand", "cuts jobs as sales slump"],
    "up": ["soars on record profit", "wins a large order", "lifts its dividend again"],
}
NAMES = ["Tolvane", "Brackwater Mills", "Osterley", "Quennel Shipping", "Hadrian Foods", "Pellow"]
NAMES += ["Varrick", "Lindmoor Steel", "Castor Lines", "Ewedale"]
TINY = (
    *("--layers", "2", "--experts", "4", "--max-tokens", "16", "--vocabulary", "500"),
    *("--batch-size", "8", "--teacher-epochs", "2", "--epochs", "3", "--rate", "5e-4"),
    *("--threads", "1", "--name", "moods", "--held-out", "0.2"),
)
STOPPED = 130


@pytest.fixture(scope="module")
def headlines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write sixty headlines in a CSV file, columns named as people name them."""
    try:
        teacher_directory()
    except ConfigurationError as error:
        pytest.skip(str(error))
    path = tmp_path_factory.mktemp("data") / "headlines.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Id", "Headline", "Sentiment"])
        pairs = [
            (name, mood, phrase) for mood in PHRASES for name in NAMES for phrase in PHRASES[mood]
        ]
        writer.writerows(
            [number, f"{name} {phrase}", mood] for number, (name, mood, phrase) in enumerate(pairs)
        )
    return path


async def _train(headlines: Path, out: Path, *more: str) -> Done:
    return await headrace("train", str(headlines), "--out", str(out), *TINY, *more)


@pytest.fixture(scope="module")
def trained(headlines: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """Train without a pause; return the checkpoint and what was said."""
    out = tmp_path_factory.mktemp("whole") / "moods"
    return out, asyncio.run(_train(headlines, out))


def test_a_table_and_a_directory_are_enough(trained: tuple[Path, Done]):
    """Columns are known by their names and a test part is split off, which is said."""
    out, done = trained
    assert done.status == 0, done.stderr
    assert done.stderr == ""
    assert "texts are read from column 'Headline', labels from 'Sentiment'" in done.stdout
    assert "12 examples were split off at random" in done.stdout
    assert "data: 38 to train, 10 to calibrate, 12 to test, labels down, up" in done.stdout
    assert "student: epoch 3/3" in done.stdout
    assert not (out / ".training").exists()


@pytest.mark.slow
async def test_a_run_that_was_stopped_goes_on_to_the_same_weights(
    headlines: Path, trained: tuple[Path, Done], tmp_path: Path
):
    """The teacher is not trained again, and the files are equal byte by byte."""
    whole, _ = trained
    out = tmp_path / "again"
    words = ("train", str(headlines), "--out", str(out), *TINY)
    process = await start(*words)
    assert process.stdout is not None
    async for line in process.stdout:
        if line.startswith(b"student: epoch 1/3"):
            process.terminate()
            break
    stopped = await finish(process)
    assert stopped.status == STOPPED, stopped.stderr
    assert "the same command goes on after the last whole epoch" in stopped.stdout
    assert stopped.stderr == ""
    assert {path.name for path in out.iterdir()} == {".training"}
    done = await headrace(*words, "--resume")
    assert done.status == 0, done.stderr
    assert f"taking up the run that was stopped in {out}" in done.stdout
    assert "teacher: taken up again after step 10 of 10" in done.stdout
    assert "teacher: epoch" not in done.stdout
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    assert not (out / ".training").exists()


async def test_a_model_is_measured_beside_another(headlines: Path, trained: tuple[Path, Done]):
    """One with itself agrees throughout."""
    assert trained[1].status == 0, trained[1].stderr
    words = ("evaluate", str(trained[0]), str(headlines))
    done = await headrace(*words, "--against", str(trained[0]), "--json")
    assert done.status == 0, done.stderr
    document = orjson.loads(done.stdout)
    assert [run["effort"] for run in document["runs"]] == ["full", "full"]
    assert document["events"] == 60
    assert document["comparison"]["agreement"] == 1
    figures = document["runs"][0]["figures"]
    assert figures["accuracy"] >= 0.8
    assert 0 < figures["work"] < 1
