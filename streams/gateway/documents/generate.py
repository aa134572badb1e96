"""Write the documents: ``python -m streams.gateway.documents.generate [--check]``.

``--check`` writes nothing and fails when a file is not up to date.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from streams.gateway.documents import asyncapi, openapi

FOLDER = Path(__file__).parents[3] / "docs" / "api"


def main(arguments: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    """Write the files, or check them; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m streams.gateway.documents.generate")
    parser.add_argument("--check", action="store_true", help="fail when a file is not up to date")
    check: bool = parser.parse_args(arguments).check
    stale = 0
    for name, build in (("openapi.json", openapi.build), ("asyncapi.json", asyncapi.build)):
        path = folder / name
        wanted = json.dumps(build(), indent=2, ensure_ascii=True) + "\n"
        if path.exists() and path.read_text("utf-8") == wanted:
            continue
        stale += 1
        if check:
            sys.stderr.write(f"{path} is not up to date; run {parser.prog}\n")
            continue
        folder.mkdir(exist_ok=True)
        path.write_text(wanted, "utf-8")
        sys.stdout.write(f"{path}\n")
    return int(check and stale > 0)


if __name__ == "__main__":
    raise SystemExit(main())
