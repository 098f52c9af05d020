"""The child process that looks into files: one at a time, within a limit of memory.

It reads a line of JSON on standard input, {"path": …} or {"size": …} followed by so many bytes,
and answers a line of JSON, {"facts": …} or {"error": …}; with "last" when it wants to be replaced.
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

MOST_LOOKS = 2000
"""After so many files a child is replaced, whatever its parsers have kept of them."""


def limit_memory(most: int) -> None:
    """Allow `most` bytes of address space: what wants more fails here, not the whole machine."""
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def hush_libraries() -> None:
    """Keep what C libraries print about files, in words the files may choose, out of the log."""
    sys.stderr = os.fdopen(os.dup(2), "w")
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)


def look(request: dict[str, Any], content: bytes, memory_bytes: int) -> dict[str, Any]:
    """The answer to one request."""
    try:
        if "path" in request:
            with Path(request["path"]).open("rb") as file, Content.of_file(file) as mapped:
                return {"facts": examine(mapped).as_json()}
        return {"facts": examine(Content.of_bytes(content)).as_json()}
    except MemoryError:  # a heap in pieces is no good for the next file
        return {"error": f"the check needs more than {memory_bytes} bytes of memory", "last": True}
    except Exception as error:  # noqa: BLE001 - whatever a file does to a parser, it is an answer
        return {"error": f"{type(error).__name__}: {error}"[:500]}


def main() -> None:
    memory_bytes, seconds = (int(argument) for argument in sys.argv[1:])
    limit_memory(memory_bytes)
    hush_libraries()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # when the poller is gone, so is this, silently
    requests, answers = sys.stdin.buffer, sys.stdout
    looks = 0
    while (line := requests.readline()).endswith(b"\n"):  # a torn line is the end too
        request = json.loads(line)
        content = requests.read(request.get("size", 0))
        signal.alarm(seconds)  # its end, also when the poller that would end it is gone
        answer = look(request, content, memory_bytes)
        signal.alarm(0)
        looks += 1
        if looks == MOST_LOOKS:
            answer["last"] = True
        answers.write(json.dumps(answer, allow_nan=False) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
