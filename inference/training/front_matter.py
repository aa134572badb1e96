"""The head of a model card that machines read, as Hugging Face's hub defines it."""

from typing import Any

import orjson

from inference.training.figures import Facts

PIPELINES = {"text": "text-classification", "image": "image-classification"}
METRICS = {"accuracy": "accuracy", "macro_f1": "f1"}


def front_matter(found: dict[str, Any], facts: Facts) -> str:
    """Return the YAML between two lines of dashes; strings are quoted as JSON, which YAML reads."""
    settings, full = facts.settings, next(iter(found["efforts"].values()))
    name = settings.data_name or settings.data.resolve().stem
    pipeline = PIPELINES[found["modality"]]
    lines = ["---"]
    if settings.licence:
        lines.append(f"license: {_quoted(settings.licence)}")
    lines += [
        "library_name: headrace",
        f"pipeline_tag: {pipeline}",
        f"base_model: {_quoted(facts.made.teacher.name)}",
        "tags: [sparse, mixture-of-experts, early-exit]",
        f"datasets: [{_quoted(name)}]",
        "metrics: [accuracy, f1]",
        "model-index:",
        f"- name: {_quoted(found['name'])}",
        "  results:",
        f"  - task: {{type: {pipeline}}}",
        f"    dataset: {{name: {_quoted(name)}, type: {_quoted(name)}, split: test}}",
        "    metrics:",
    ]
    lines += [
        f"    - {{type: {kind}, name: {_quoted(entry)}, value: {full[entry]:.4f}}}"
        for entry, kind in METRICS.items()
    ]
    return "\n".join([*lines, "---"])


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
