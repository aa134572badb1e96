"""A package that is installed for one test: its modules and metadata on the import path."""

import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from inference import registry


@contextmanager
def installed(
    where: Path,
    name: str,
    entry_points: Mapping[str, Mapping[str, str]],
    source: Path | None = None,
) -> Iterator[None]:
    """Install a package as pip would leave it, and take it away again.

    Args:
        where: An empty directory for its metadata.
        name: Of the distribution.
        entry_points: Its entry points, by group and name.
        source: The directory of its modules.
    """
    metadata = where / f"{name.replace('-', '_')}-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    lines = []
    for group, named in entry_points.items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in named.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    path, modules = list(sys.path), set(sys.modules)
    sys.path[:0] = [str(where), *([str(source)] if source else [])]
    registry.load.cache_clear()
    try:
        yield
    finally:
        sys.path[:] = path
        registry.load.cache_clear()
        for module in set(sys.modules) - modules:
            if (
                source
                and Path(getattr(sys.modules[module], "__file__", None) or "").parent == source
            ):
                del sys.modules[module]


def declared(package: Path) -> dict[str, dict[str, str]]:
    """Return the entry points that a package's ``pyproject.toml`` declares."""
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared_points: dict[str, dict[str, str]] = project["entry-points"]
    return declared_points
