"""All benchmarks, or the parts that are named: `make bench`, `make bench-queue`.

Each part is a program of its own, `python -m bench.queues`: one that fails, or takes far too long,
is told at the end, and the others run. `--json` writes what all of them found.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from typing import Any

from bench.command import add_arguments, machine
from poller.sandbox.postgres import die_with_parent

PARTS = {
    "queue": "bench.queues",
    "pipeline": "bench.pipeline",
    "growth": "bench.growth",
    "memory": "bench.memory",
    "dedupe": "bench.dedupe",
    "scale": "bench.scale",
    "webhook": "bench.webhook",
    "lifecycle": "bench.lifecycle",
    "checks": "bench.checks",
    "compression": "bench.compression",
}
PATIENCE_SECONDS = {"short": 900, "long": 7200}


def run_part(part: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """What the part found, and the seconds it took; a text under `failed` when it did not end."""
    patience = PATIENCE_SECONDS["short" if chosen.short else "long"]
    with tempfile.NamedTemporaryFile("r") as found:
        command = [sys.executable, "-m", PARTS[part], "--json", found.name]
        command += ["--short"] if chosen.short else []
        command += ["--postgres", chosen.postgres] if chosen.postgres else []
        begun = time.monotonic()
        failed = ""
        try:
            done = subprocess.run(
                command, check=False, timeout=patience, preexec_fn=die_with_parent
            )
            if done.returncode:
                failed = f"exit code {done.returncode}"
        except subprocess.TimeoutExpired:
            failed = f"not done in {patience} s"
        result: dict[str, Any] = {"failed": failed} if failed else json.load(found)
    return result | {"seconds": round(time.monotonic() - begun)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    add_arguments(parser)
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    results: dict[str, Any] = {"machine": machine() | {"short": chosen.short}, "parts": {}}
    for part in chosen.parts or PARTS:
        print(f"\n## {part}", flush=True)
        results["parts"][part] = result = run_part(part, chosen)
        print(f"\n({part}: {result['seconds']} s)", flush=True)
        if chosen.json:
            chosen.json.write_text(json.dumps(results, indent=2) + "\n")
    failed = {name: one["failed"] for name, one in results["parts"].items() if "failed" in one}
    seconds = sum(one["seconds"] for one in results["parts"].values())
    print(f"\n{len(results['parts']) - len(failed)} parts in {seconds} s")
    for part, reason in failed.items():
        print(f"{part} FAILED: {reason}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
