"""The model card: what a checkpoint was made from and what it measures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from inference.model import SparseEncoderConfig
from inference.training.figures import FIGURES_FILE, Facts, figures, load_model
from inference.training.front_matter import front_matter
from inference.training.progress import Report
from inference.training.reliability import Bin, diagram, table

CARD_FILE = "README.md"
DIAGRAM_FILE = "reliability.svg"
MOST_ROWS = 20
"""Classes up to which all are listed; of more, only the worst."""
WORST = 10
OUT_OF_SCOPE = ("oos", "out_of_scope", "out-of-scope")
"""Labels that stand for whatever is none of the others; always listed."""
NAMED_LABELS = 20


def write_card(directory: Path, facts: Facts, report: Report) -> None:
    """Measure a checkpoint as it lies on disk and write card, figures and diagram beside it.

    Args:
        directory: The checkpoint.
        facts: What it was made from.
        report: Takes a line per effort, and one for the teacher.
    """
    model = load_model(directory)
    found = figures(model, facts)
    for name, effort in found["efforts"].items():
        report(
            f"{name}: accuracy {effort['accuracy']:.4f}, macro-F1 {effort['macro_f1']:.4f}, "
            f"active share {effort['active_share']:.1%}, work {effort['work']:.1%}"
        )
    teacher = found["teacher"]
    report(f"teacher: accuracy {teacher['accuracy']:.4f}, macro-F1 {teacher['macro_f1']:.4f}")
    bins = [Bin(**each) for each in found["reliability"]]
    parts = [
        front_matter(found, facts),
        _heading(model.config, facts),
        _results(found),
        _calibration(found, bins),
        _per_class(found),
        _per_exit(found),
        _making(found, facts),
    ]
    (directory / CARD_FILE).write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    written = orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    (directory / FIGURES_FILE).write_bytes(written)
    caption = f"Calibration of {_escaped(found['name'])} on test {_things(found)}"
    (directory / DIAGRAM_FILE).write_text(diagram(bins, caption), encoding="utf-8")


def _things(found: dict[str, Any]) -> str:
    return "images" if found["modality"] == "image" else "texts"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _heading(config: SparseEncoderConfig, facts: Facts) -> str:
    learned, held, tested = facts.made.counts
    is_image = config.modality == "image"
    things = "images" if is_image else "texts"
    shape = (
        f"{config.num_hidden_layers} layers of width {config.hidden_size}, "
        f"{config.num_experts} experts per layer of which {config.experts_per_token} run for a "
        f"token, an exit after every layer"
    )
    taken = (
        f"Images are taken at {config.image_height} x {config.image_width} pixels, in "
        f"{'grey' if config.image_channels == 1 else 'colour'}."
        if is_image
        else f"{config.vocab_size} word pieces, at most {config.max_position_embeddings} tokens a "
        "text."
    )
    labels = ", ".join(config.labels[:NAMED_LABELS])
    more = len(config.labels) - NAMED_LABELS
    labels += f" and {more} more" if more > 0 else ""
    return f"""# {config.checkpoint_name} {config.checkpoint_version}

A sparse {"image" if is_image else "text"} classifier: {shape}.
Labels: {labels}.
{taken}

Learned from {learned} {things}; temperatures and exit thresholds were set on {held} held-out
{things}; all figures below are of {tested} test {things} that neither saw. `{FIGURES_FILE}` has
them all."""


def _results(found: dict[str, Any]) -> str:
    rows = [
        f"## Results on the test {_things(found)}",
        "",
        (
            "| effort | experts | exit from | accuracy | macro-F1 | ECE "
            "| mean layers | active share | multiply-adds | work |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {name} | {each['experts']} | {each['exit_threshold']:.2f} | {each['accuracy']:.4f} "
        f"| {each['macro_f1']:.4f} | {each['ece']:.4f} | {each['mean_layers']:.2f} "
        f"| {each['active_share']:.1%} | {_millions(each['multiply_adds'])} | {each['work']:.1%} |"
        for name, each in found["efforts"].items()
    ]
    dense = found["teacher"]
    rows += [
        (
            f"| dense teacher | all | - | {dense['accuracy']:.4f} | {dense['macro_f1']:.4f} "
            f"| {dense['ece']:.4f} | - | - | {_millions(dense['multiply_adds'])} | 100.0% |"
        ),
        "",
        (
            "Exit from: confidence from which an event leaves before the last layer. Active share: "
            "share of the encoder's parameters (embeddings apart) that an event's tokens met, mean "
            "over events. Multiply-adds: per event, embeddings apart, mean; work is that against "
            "the dense teacher's. ECE: expected calibration error, 15 bins; the teacher is not "
            "calibrated."
        ),
    ]
    return "\n".join(rows)


def _calibration(found: dict[str, Any], bins: Sequence[Bin]) -> str:
    full = next(iter(found["efforts"].values()))
    return f"""## Calibration, at full effort

Expected calibration error {full["ece"]:.4f}, Brier score {full["brier"]:.4f}, negative
log-likelihood {full["nll"]:.4f}.

![Share of right answers by confidence]({DIAGRAM_FILE})

{table(bins)}"""


def _per_class(found: dict[str, Any]) -> str:
    every = found["per_class"]
    title, shown = "## Per class, at full effort", every
    if len(every) > MOST_ROWS:
        title = f"## The {WORST} worst of {len(every)} classes, at full effort"
        shown = sorted(every, key=lambda row: row["f1"])[:WORST]
        shown += [row for row in every if row["label"].lower() in OUT_OF_SCOPE and row not in shown]
    rows = [title, "", "| label | precision | recall | F1 | examples |", "|---|---|---|---|---|"]
    rows += [
        f"| {_cell(row['label'])} | {row['precision']:.3f} | {row['recall']:.3f} "
        f"| {row['f1']:.3f} | {row['examples']} |"
        for row in shown
    ]
    if found["confusions"]:
        rows += ["", "Most often taken for something else:", ""]
        rows += ["| true | answer | times |", "|---|---|---|"]
    rows += [
        f"| {_cell(each['true'])} | {_cell(each['answer'])} | {each['count']} |"
        for each in found["confusions"][:WORST]
    ]
    return "\n".join(rows)


def _per_exit(found: dict[str, Any]) -> str:
    rows = [
        "## Per exit, at full effort",
        "",
        (
            "| exit after layer | events that leave here | their accuracy "
            "| accuracy if all left here | temperature |"
        ),
        "|---|---|---|---|---|",
    ]
    for each in found["exits"]:
        own = each["accuracy_of_these"]
        cells = [
            str(each["layer"]),
            f"{each['leave_here']:.1%}",
            "-" if own is None else f"{own:.4f}",
            f"{each['accuracy_of_all']:.4f}",
            str(each["temperature"]),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _making(found: dict[str, Any], facts: Facts) -> str:
    settings, teacher = facts.settings, facts.made.teacher
    said = [settings.data_notice]
    if settings.data_licence:
        said.append(f"Licence of the data: {settings.data_licence}.")
    cited = "".join(f"{each}\n\n" for each in said if each)
    return f"""## How it was made

{cited}Teacher: [{teacher.name}]({teacher.source}),
{teacher.licence}; {facts.made.sentences}

```
{settings.command()}
```

Seed {settings.seed}, {facts.threads} threads of {found["cpu"]}, torch {found["torch"]},
{facts.seconds / 60:.0f} minutes{" since the run was last taken up" if facts.resumed else ""}."""


def _millions(count: float) -> str:
    return f"{count / 1e6:,.1f} M"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
