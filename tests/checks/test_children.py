"""The children that look into files, with bad ones: nothing is left, nothing grows."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest

from poller.content import Spool
from poller.inspector import InspectionError, Inspector
from tests.checks.bad_files import BAD
from tests.checks.makers import FILES, png


class Children(Inspector):
    """An inspector of one child at a time, which notes their ids, and what they print, in files."""

    def __init__(self, folder: Path, memory_bytes: int = 1 << 30) -> None:
        self.pids, self.printed = folder / "pids", folder / "printed"
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        script = (
            f"echo $$ >>{self.pids}; export TMPDIR={self.scratch};"
            f' exec "$0" -m poller.inspection "$@" 2>>{self.printed}'
        )
        command = ["sh", "-c", script, sys.executable]
        super().__init__(children=1, seconds=30, memory_bytes=memory_bytes, command=command)

    async def look(self, content: bytes) -> str:
        with Spool(100_000_000, None) as spool:
            spool.write(content)
            return (await self.examine(spool))["mime_type"]

    def measure(self) -> tuple[int, int]:
        """Open descriptors, and bytes of memory in use."""
        (pid,) = self.pids.read_text().split()  # none was replaced
        told = Path(f"/proc/{pid}")
        pages = int((told / "statm").read_text().split()[1])
        return len(list((told / "fd").iterdir())), pages * resource.getpagesize()


async def test_a_child_neither_grows_nor_leaves_files(tmp_path: Path) -> None:
    """One child looks at all the bad files again and again."""
    contents = [make() for make, *_ in BAD.values()]
    async with Children(tmp_path) as child:
        for content in contents * 4:
            await child.look(content)
        descriptors, size = child.measure()
        for content in contents * 5:
            await child.look(content)

        assert child.measure() == (descriptors, pytest.approx(size, abs=20_000_000))
    assert not list(child.scratch.iterdir())


async def test_what_takes_too_much_memory_fails_alone_and_its_child_is_replaced(
    tmp_path: Path,
) -> None:
    async with Children(tmp_path, memory_bytes=150_000_000) as child:
        with pytest.raises(InspectionError, match="more than 150000000 bytes of memory"):
            await child.look(png(10_000, 10_000))

        assert await child.look(FILES["jpg"]) == "image/jpeg"
        assert len(child.pids.read_text().split()) == 2


async def test_libraries_say_nothing_into_the_log(tmp_path: Path) -> None:
    """libtiff prints what it thinks of a file, and a file can choose the words."""
    async with Children(tmp_path) as child:
        for cut in range(100, len(FILES["tiff"]), 200):
            await child.look(FILES["tiff"][:cut] + bytes(50) + FILES["tiff"][cut + 50 :])

    assert child.printed.read_bytes() == b""
