"""The kernels for Intel's matrix unit, whose five operations are done in plain C here.

Few machines have the unit. What is proven is all that surrounds it: layout, loops, what does not
fill a tile. That the unit itself multiplies right is checked when a process first uses it.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from inference.native import binding as native
from inference.native.binding import Format, instruction_sets, product
from inference.native.encoder import NativeEncoder
from tests.fakes.small_model import drawn_ids, small_network

SOURCES = Path(native.__file__).parent / "src"
COMPILER = shutil.which("cc")

pytestmark = [
    pytest.mark.skipif(COMPILER is None, reason="needs a C compiler"),
    pytest.mark.skipif(
        not native.can(Format.BF16, "avx512"), reason="the unit comes with AVX-512 and BF16"
    ),
]


@pytest.fixture(scope="module", autouse=True)
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compile the kernels with emulated tiles, and use them."""
    folder = tmp_path_factory.mktemp("kernels")
    command = [str(COMPILER), "-O1", "-std=gnu11", "-fPIC", "-shared", "-Wno-psabi"]
    sources = sorted(map(str, SOURCES.glob("*.c")))
    output = ["-o", str(folder / "_kernels.so"), "-lm"]
    subprocess.run([*command, "-DHEADRACE_EMULATE_TILES", *sources, *output], check=True)
    caches = (native.shared_library, native.instruction_sets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "DIRECTORY", folder)
        for each in caches:
            each.cache_clear()
        yield
    for each in caches:
        each.cache_clear()


def test_the_matrix_unit_comes_first():
    """It multiplies several times as fast as vectors do; its check passes here."""
    assert instruction_sets()[:2] == ("amx", "avx512")


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 31, 32, 33, 48, 97])
@pytest.mark.parametrize(
    ("outputs", "inputs"),
    [(16, 64), (48, 192), (80, 128), (112, 384), (24, 64), (64, 96), (16, 2112)],
)
def test_products_are_those_of_vectors(rows: int, outputs: int, inputs: int):
    """To the bit: whole tiles, half blocks, rows and inputs that fill no tile."""
    chance = np.random.default_rng(rows)
    given = chance.normal(size=(rows, inputs)).astype(np.float32)
    levels = chance.integers(-127, 128, (outputs, inputs)).astype(np.int8)
    scale = chance.uniform(0.5, 2, outputs).astype(np.float32)
    ours, vectors = (
        product(isa, Format.INT8, given, levels, scale)[0] for isa in ("amx", "avx512")
    )
    assert np.array_equal(ours, vectors)


@pytest.mark.parametrize("lengths", [[1], [9, 7], [5, 17, 30, 64, 1, 1, 9] * 6])
def test_answers_are_those_of_vectors(lengths: list[int]):
    """With rows that are picked from here and there for each expert."""
    network = small_network(hidden_size=64, intermediate_size=256, max_position_embeddings=64)
    ids = drawn_ids(lengths).numpy().astype(np.int32)
    counts = np.array(lengths, np.int32)
    (ours, depths), (vectors, layers) = (
        NativeEncoder.build(network, "int8", isa=isa).run(ids, counts, 2, [0.7] * 4)
        for isa in ("amx", "avx512")
    )
    assert np.array_equal(ours, vectors)
    assert np.array_equal(depths, layers)
