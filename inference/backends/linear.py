"""Products in few bits: the linear layers that take the place of torch's."""

import re
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from inference.float8 import AS_USED, multiplies_float8, tell_float8, to_float8, widened
from inference.precision import Precision
from schemas.errors import ConfigurationError

INT8_TOP = 127
LEAST_SCALE = 1e-12
LEAST_PEAK = 1e-5
SMOOTHING = 0.6
"""Share of a channel's unevenness that moves from inputs to weights: of 0.4 to 0.75 what measured
best on MiniLM, where it halves the mean error of the scores."""
LAYERS = re.compile(r"\.\d+\.")
"""In the names of whatever is repeated: a model's layers."""
ATTENTION = re.compile(r"attn|attention|qkv", re.IGNORECASE)
CUDA_ROWS = 17
"""Fewest rows that CUDA multiplies in int8."""


class Int8Linear(nn.Module):
    """``nn.Linear`` with int8 weights, one scale per output, and one scale per row of the input.

    The quantisation of LLM.int8 (Dettmers et al., 2022), with SmoothQuant (Xiao et al., 2023) in
    place of its outliers: input channels that are often large are shrunk, their weights stretched.

    Args:
        linear: What it takes the place of.
        peaks: The largest input of each channel, [D], as far as is known.
    """

    weight: Tensor
    scale: Tensor
    shrink: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear, peaks: Tensor) -> None:
        super().__init__()
        stretch = stretch_of(linear.weight, peaks)  # [D]
        weight = linear.weight.detach().float() * stretch  # [N, D]
        scale = (weight.abs().amax(dim=1) / INT8_TOP).clamp(min=LEAST_SCALE)  # [N]
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.register_buffer("weight", (weight / scale[:, None]).round().to(torch.int8))
        self.register_buffer("scale", scale)
        self.register_buffer("shrink", 1 / stretch)
        self.register_buffer("bias", _bias_of(linear, torch.float32))

    def forward(self, hidden: Tensor) -> Tensor:
        """Transform [..., D] to [..., N] in the input's number format."""
        rows = hidden.reshape(-1, self.in_features) * self.shrink  # [R, D], float32
        step = (rows.abs().amax(dim=1, keepdim=True) / INT8_TOP).clamp(min=LEAST_SCALE)  # [R, 1]
        levels = (rows / step).round_().to(torch.int8)
        product = _int8_product(levels, self.weight).float().mul_(self.scale)  # [R, N]
        out = product.mul_(step) if self.bias is None else torch.addcmul(self.bias, product, step)
        return out.to(hidden.dtype).view(*hidden.shape[:-1], self.out_features)


def stretch_of(weight: Tensor, peaks: Tensor) -> Tensor:
    """Return what to multiply a weight's input channels with, and to divide the inputs by, [D].

    Args:
        weight: [N, D].
        peaks: The largest input of each channel, [D].
    """
    stretch = peaks.float().clamp(min=LEAST_PEAK) ** SMOOTHING
    most = weight.detach().float().abs().amax(dim=0).clamp(min=LEAST_PEAK)
    return stretch / most ** (1 - SMOOTHING)


def _int8_product(rows: Tensor, weight: Tensor) -> Tensor:
    """Multiply [R, D] with the transpose of [N, D] into 32-bit integers, [R, N]."""
    few = CUDA_ROWS - len(rows) if rows.is_cuda else 0
    if few > 0:
        rows = F.pad(rows, (0, 0, 0, few))
    product = torch._int_mm(rows, weight.T)  # noqa: SLF001 - no public name yet
    return product[:-few] if few > 0 else product


class StoredFloat8Linear(nn.Module):
    """``nn.Linear`` with float8 weights that are widened to bfloat16 for each product."""

    stored: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        stored, scale = to_float8(linear.weight.detach())
        self.register_buffer("stored", stored)
        self.register_buffer("scale", scale)
        self.register_buffer("bias", _bias_of(linear, torch.bfloat16))

    @property
    def weight(self) -> Tensor:
        """The weights as they are multiplied, [N, D]."""
        return widened(self.stored, self.scale)

    def forward(self, hidden: Tensor) -> Tensor:
        """Transform [..., D] to [..., N]."""
        return F.linear(hidden.bfloat16(), self.weight, self.bias).to(hidden.dtype)


class Float8Linear(StoredFloat8Linear):
    """``nn.Linear`` whose products are float8 too, on cards that multiply it."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Transform [..., D] to [..., N]."""
        rows = hidden.reshape(-1, self.in_features)
        levels, step = to_float8(rows)
        out = torch._scaled_mm(  # noqa: SLF001 - no public name yet
            levels,
            self.stored.T,
            scale_a=step,
            scale_b=self.scale.T,
            bias=self.bias,
            out_dtype=torch.bfloat16,
        )
        return out.to(hidden.dtype).view(*hidden.shape[:-1], self.out_features)


def _bias_of(linear: nn.Linear, kind: torch.dtype) -> Tensor | None:
    bias: Tensor | None = linear.bias
    return None if bias is None else bias.detach().to(kind)


def convert(
    network: nn.Module,
    precision: Precision,
    device: torch.device,
    sample: Callable[[], object],
) -> nn.Module:
    """Bring a network into a precision and onto a device.

    The products of its layers are the ``nn.Linear`` in whatever it repeats; those whose name speaks
    of attention are attention's, the others are feed-forward.

    Args:
        network: In float32, in evaluation mode; changed in place.
        precision: What to make of it.
        device: Where it is to run.
        sample: Runs the network on some input of its kind; random will do, since which channels are
            large hardly depends on it.

    Raises:
        ConfigurationError: It has no products that a precision in few bits could change.
    """
    match precision:
        case Precision.FP32 | Precision.BF16:
            products: dict[str, nn.Module] = {}
        case Precision.INT8 | Precision.BF16_INT8:
            mixed = precision is Precision.BF16_INT8
            peaks = input_peaks(network, sample)
            products = {
                name: Int8Linear(linear, peaks[name])
                for name, linear in layer_products(network)
                if not (mixed and ATTENTION.search(name))
            }
        case Precision.BF16_FP8:
            in_hardware = multiplies_float8(device)
            make = Float8Linear if in_hardware else StoredFloat8Linear
            products = {name: make(linear) for name, linear in layer_products(network)}
            tell_float8(device, None if in_hardware else AS_USED)
    if not products and precision not in {Precision.FP32, Precision.BF16}:
        raise ConfigurationError(
            f"precision {precision}: this model's layers hold no products that could be stored in "
            "few bits; choose fp32 or bf16"
        )
    for name in products:
        _replace(network, name, nn.Identity())
    kind = torch.float32 if precision in {Precision.FP32, Precision.INT8} else torch.bfloat16
    network.to(device=device, dtype=kind)
    for name, product in products.items():
        _replace(network, name, product.to(device))
    return network.eval().requires_grad_(requires_grad=False)


def layer_products(network: nn.Module) -> list[tuple[str, nn.Linear]]:
    """Return the linear layers within a network's repeated layers, with their names."""
    return [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and LAYERS.search(f"{name}.")
    ]


@torch.inference_mode()
def input_peaks(network: nn.Module, sample: Callable[[], object]) -> dict[str, Tensor]:
    """Return the largest input of each channel of each of a network's products, by its name.

    Of products that the sample does not reach, ones.
    """
    products = layer_products(network)
    peaks = {name: torch.zeros(linear.in_features) for name, linear in products}

    def look(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            found = inputs[0].detach().float().abs().flatten(end_dim=-2).amax(dim=0)
            peaks[name] = torch.maximum(peaks[name], found)

        return note

    hooks = [linear.register_forward_pre_hook(look(name)) for name, linear in products]
    try:
        sample()
    finally:
        for hook in hooks:
            hook.remove()
    return {name: each if each.any() else torch.ones_like(each) for name, each in peaks.items()}


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)
