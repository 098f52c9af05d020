"""The child process that looks into files: one at a time, within a limit of memory.

It reads a line of JSON on standard input, {"path": …} or {"size": …} followed by so many bytes,
and answers a line of JSON, {"mime_type": …} or {"error": …}. It ends with its input. Its arguments
are the bytes of address space that it may use and the seconds that one look may take.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from pathlib import Path

from poller.content import detect_bytes, detect_file


def limit_memory(most: int) -> None:
    """Allow `most` bytes of address space: what wants more fails here, not the whole machine."""
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main() -> None:
    memory_bytes, seconds = (int(argument) for argument in sys.argv[1:])
    limit_memory(memory_bytes)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # when the poller is gone, so is this, silently
    requests, answers = sys.stdin.buffer, sys.stdout
    while (line := requests.readline()).endswith(b"\n"):  # a torn line is the end too
        request = json.loads(line)
        content = requests.read(request.get("size", 0))
        answer: dict[str, str]
        signal.alarm(seconds)  # its end, also when the poller that would end it is gone
        try:
            if "path" in request:
                with Path(request["path"]).open("rb") as file:
                    answer = {"mime_type": detect_file(file)}
            else:
                answer = {"mime_type": detect_bytes(content)}
        except Exception as error:  # noqa: BLE001 - whatever a file does to a parser, it is an answer
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        signal.alarm(0)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
