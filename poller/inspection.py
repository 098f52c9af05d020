"""The child process that looks into files: one at a time, within a limit of memory.

It reads a line of JSON on standard input, {"path": …} or {"size": …} followed by so many bytes,
and answers a line of JSON, {"facts": …} or {"error": …}; with "last" when it wants to be replaced.
With {"encode": plan} in the request it makes of the file what the plan says, and answers {"kept":
why}, or {"facts": …, "size": …} of the result, followed by so many bytes, which are the result.
It ends with its input. Its arguments are the bytes of address space that it may use and the seconds
that one look may take.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from poller.checks import Content, examine
from poller.checks.content import printable
from poller.encoding import KeptError, encode

MOST_LOOKS = 2000
"""After so many files a child is replaced, whatever its parsers have kept of them."""

ENCODING_NICE = 10
"""Niceness of a child that encodes: the poller itself, and checks, come first."""


def limit_memory(most: int) -> None:
    """Allow `most` bytes of address space: what wants more fails here, not the whole machine."""
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def hush_libraries() -> None:
    """Keep what C libraries print about files, in words the files may choose, out of the log."""
    sys.stderr = os.fdopen(os.dup(2), "w")
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)


def look(
    request: dict[str, Any], content: bytes, memory_bytes: int
) -> tuple[dict[str, Any], bytes]:
    """The answer to one request, and the bytes that follow it."""
    try:
        if "path" in request:
            with Path(request["path"]).open("rb") as file, Content.of_file(file) as mapped:
                return answer(request, mapped)
        return answer(request, Content.of_bytes(content))
    except MemoryError:  # a heap in pieces is no good for the next file
        text = f"it needs more than {memory_bytes} bytes of memory"
        return {"error": text, "last": True}, b""
    except Exception as error:  # noqa: BLE001 - whatever a file does to a parser, it is an answer
        return {"error": f"{type(error).__name__}: {error}"[:500]}, b""


def answer(request: dict[str, Any], content: Content) -> tuple[dict[str, Any], bytes]:
    plan = request.get("encode")
    if plan is None:
        return {"facts": examine(content).as_json()}, b""
    os.setpriority(os.PRIO_PROCESS, 0, ENCODING_NICE)
    last = {"last": True} if "codec" in plan else {}  # what a large image took is given back
    try:
        encoded = encode(content, plan)
    except KeptError as error:
        return {"kept": printable(str(error)), **last}, b""
    facts = examine(Content.of_bytes(encoded))
    return {"facts": facts.as_json(), "size": len(encoded), **last}, encoded


def main() -> None:
    memory_bytes, seconds = (int(argument) for argument in sys.argv[1:])
    limit_memory(memory_bytes)
    hush_libraries()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # when the poller is gone, so is this, silently
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    looks = 0
    while (line := requests.readline()).endswith(b"\n"):  # a torn line is the end too
        request = json.loads(line)
        content = requests.read(request.get("size", 0))
        signal.alarm(seconds)  # its end, also when the poller that would end it is gone
        told, result = look(request, content, memory_bytes)
        signal.alarm(0)
        looks += 1
        if looks == MOST_LOOKS:
            told["last"] = True
        answers.write(json.dumps(told, allow_nan=False).encode() + b"\n")
        answers.write(result)
        answers.flush()


if __name__ == "__main__":
    main()
