"""The processor's name, to stand beside every figure."""

from functools import cache
from pathlib import Path


@cache
def processor_name() -> str:
    """Return the processor's name, as Linux gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "an unnamed processor"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "an unnamed processor"
