"""What runs beside brokers alone is installed without torch: from deploy/apps.txt."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LISTED = [
    line
    for line in (ROOT / "deploy/apps.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]
WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from streams.cli import main
main({arguments})
"""
ABSENT = {
    "ahocorasick_rs",
    "numpy",
    "onnxruntime",
    "opentelemetry",
    "PIL",
    "safetensors",
    "tokenizers",
    "torch",
    "transformers",
    "zstandard",
}


def headrace(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command where the packages of the model are missing."""
    program = WITHOUT.format(absent=ABSENT, arguments=list(arguments))
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_its_versions_are_those_of_the_package() -> None:
    """One list must not fall behind the other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]["apps"]
    assert set(LISTED) <= {*project["dependencies"], *extras}
    assert set(extras) <= set(LISTED)


@pytest.mark.parametrize("command", ["app", "dlq", "gateway", "tail", "top", "topics", "webhooks"])
def test_a_command_runs_without_the_packages_of_the_model(command: str) -> None:
    """Its help comes from the same imports as its work."""
    done = headrace(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Not here" not in done.stdout


@pytest.mark.parametrize(("command", "package"), [("run", "safetensors"), ("demo", "numpy")])
def test_a_command_that_needs_more_says_what(command: str, package: str) -> None:
    """Whether it notices when it is imported or when it runs; the list of commands says so too."""
    done = headrace(command)
    assert done.returncode == 2
    assert f"this needs the package {package}" in done.stderr
    assert "Traceback" not in done.stderr
    listed = headrace("--help")
    assert listed.returncode == 0
    assert "Not here" in listed.stdout
