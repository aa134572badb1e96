"""Try every capability on every provider that can be used here, and print the table in Markdown.

``python -m tests.integration.broker.table`` or, for one of them, ``… table embedded``.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

from streams.broker import PROVIDERS, available
from tests.integration.broker.differences import CAPABILITIES, DIFFERENCES

SUITE = Path(__file__).parent
YES = "yes"


def measure(provider: str) -> dict[str, str]:
    """Run the suite on a provider; return what was found, by capability."""
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.xml"
        command = [sys.executable, "-m", "pytest", str(SUITE), "--broker", provider]
        options = ["--junitxml", str(report), "-m", "capability", "-q", "-p", "no:cacheprovider"]
        subprocess.run([*command, *options], stdout=sys.stderr, check=False)
        return findings(ET.parse(report))  # noqa: S314 - pytest's own, just written


def findings(report: "ET.ElementTree[ET.Element]") -> dict[str, str]:
    """Return the outcome of each capability; of several tests, the worst."""
    found: dict[str, str] = {}
    for case in report.iter("testcase"):
        (name,) = (
            one.get("value", "") for one in case.iter("property") if one.get("name") == "capability"
        )
        if found.get(name, YES) == YES:
            found[name] = outcome(case)
    return found


def outcome(case: ET.Element) -> str:
    """Return what became of one test."""
    if case.find("failure") is not None or case.find("error") is not None:
        return "**unexpected**"
    skipped = case.find("skipped")
    if skipped is None:
        return YES
    lacks = "no: " if skipped.get("type") == "pytest.xfail" else "hangs, not tried: "
    return lacks + skipped.get("message", "")


def known(provider: str) -> dict[str, str]:
    """Return what a run that goes as expected finds, by capability."""
    found = dict.fromkeys(CAPABILITIES, YES)
    for (listed, name), difference in DIFFERENCES.items():
        if listed == provider:
            lacks = "no: " if difference.ends else "hangs, not tried: "
            found[name] = lacks + difference.why
    return found


def rows(columns: dict[str, dict[str, str]]) -> list[str]:
    """Return the table, one capability a line, one provider a column."""
    lines = [f"| capability | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for name, meaning in CAPABILITIES.items():
        cells = [column.get(name, "no test") for column in columns.values()]
        lines.append(f"| {meaning} | {' | '.join(cells)} |")
    return lines


def main(asked: list[str]) -> None:
    """Print the table; say which providers are left out, and why."""
    columns = {}
    for provider in asked or PROVIDERS:
        reason = available(provider)
        if reason is None:
            columns[provider] = measure(provider)
        else:
            sys.stderr.write(f"{provider} is left out: {reason}\n")
    sys.stdout.write("\n".join(rows(columns)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
