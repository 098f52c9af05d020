# olefile's types are partly unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Every sample is a real file: a decoder that did not make it reads all of it.

See make_samples.sh for the makers. Variants are held to the same as the samples.
"""

import io
import struct
import zipfile
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from itertools import chain, pairwise

import av
import docx
import olefile
import openpyxl
import pypdf
import pytest
import xlrd
from av.video.plane import VideoPlane
from PIL import Image, ImageSequence

from poller.libmagic import libmagic_type
from poller.sandbox.samples import SAMPLES, Sample, variant

WORD = "pgmedia sample"

# libmagic's own name, where it is not the canonical one.
LIBMAGIC = {
    "audio/wav": "audio/x-wav",
    "audio/aac": "audio/x-hx-aac-adts",
    "audio/mp4": "audio/x-m4a",
}

IMAGES = {  # format, size, frames
    "image/jpeg": ("JPEG", (160, 120), 1),
    "image/png": ("PNG", (160, 120), 1),
    "image/gif": ("GIF", (120, 60), 4),
    "image/webp": ("WEBP", (160, 120), 1),
    "image/bmp": ("BMP", (80, 60), 1),
    "image/tiff": ("TIFF", (80, 60), 1),
}

TRACKS = {  # decoder of the picture, decoder of the sound
    "audio/mpeg": (None, "mp3float"),
    "audio/ogg": (None, "opus"),
    "audio/wav": (None, "pcm_s16le"),
    "audio/aac": (None, "aac"),
    "audio/amr": (None, "amrnb"),
    "audio/mp4": (None, "aac"),
    "video/mp4": ("h264", "aac"),
    "video/webm": ("vp8", "opus"),
    "video/quicktime": ("h264", "aac"),
    "video/3gpp": ("h264", "amrnb"),
    "video/x-msvideo": ("mjpeg", "mp3float"),
}


def read_image(data: bytes, mime_type: str) -> bytes:
    """The pixels of every frame."""
    with Image.open(io.BytesIO(data)) as image:
        frames = [frame.convert("RGBA").tobytes() for frame in ImageSequence.Iterator(image)]
        assert (image.format, image.size, len(frames)) == IMAGES[mime_type]
    assert len(set(frames)) == len(frames), "an animation moves"
    assert all(len(set(frame)) > 2 for frame in frames), "a picture shows something"
    return b"".join(frames)


def read_media(data: bytes, mime_type: str) -> bytes:
    """Every picture, then all the sound; any error the decoders notice is raised."""
    pictures: list[bytes] = []
    sound: list[bytes] = []
    seconds = Fraction(0)
    strict = {"err_detect": "crccheck+bitstream+buffer+explode"}
    with av.open(io.BytesIO(data), "r", options=strict) as container:
        for stream in container.streams:
            stream.codec_context.options = strict
        tracks = {stream.type: stream.codec_context.codec.name for stream in container.streams}
        for frame in chain.from_iterable(packet.decode() for packet in container.demux()):
            if isinstance(frame, av.VideoFrame):
                assert (frame.width, frame.height) == (128, 96)
                pictures.append(b"".join(map(visible, frame.planes)))
            elif isinstance(frame, av.AudioFrame):
                sound.append(bytes(frame.planes[0])[: frame.samples * frame.format.bytes])
                seconds += Fraction(frame.samples, frame.sample_rate)
    picture, tone = TRACKS[mime_type]
    assert tracks == ({"video": picture, "audio": tone} if picture else {"audio": tone})
    assert len(pictures) == len(set(pictures)) == (20 if picture else 0), "a video moves"
    assert abs(seconds - (2 if picture else Fraction("0.9"))) < Fraction("0.1")
    assert len(set(b"".join(sound))) > 100, "the sound is not silence"
    return b"".join(pictures + sound)


def visible(plane: VideoPlane) -> bytes:
    """A plane's bytes without the padding at the end of its lines."""
    data, step = bytes(plane), plane.line_size
    return b"".join(data[y * step : y * step + plane.width] for y in range(plane.height))


def read_pdf(data: bytes) -> str:
    pages = pypdf.PdfReader(io.BytesIO(data), strict=True).pages
    return "\n".join(page.extract_text() for page in pages)


def read_doc(data: bytes) -> str:
    """The text by way of the piece table ([MS-DOC] 2.4.1): Clx, its Pcdt, and the pieces."""
    with olefile.OleFileIO(io.BytesIO(data), raise_defects=olefile.DEFECT_POTENTIAL) as ole:
        main = ole.openstream("WordDocument").read()
        (flags,) = struct.unpack_from("<H", main, 0x0A)
        table = ole.openstream("1Table" if flags & 0x0200 else "0Table").read()
    at, size = struct.unpack_from("<II", main, 0x01A2)
    clx = table[at : at + size]
    while clx[0] == 1:  # formatting, before the table
        clx = clx[3 + struct.unpack_from("<H", clx, 1)[0] :]
    count = (struct.unpack_from("<I", clx, 1)[0] - 4) // 12
    ends = struct.unpack_from(f"<{count + 1}I", clx, 5)
    text = ""
    for piece, (first, last) in enumerate(pairwise(ends)):
        (start,) = struct.unpack_from("<I", clx, 5 + 4 * (count + 1) + 8 * piece + 2)
        if start & 0x40000000:
            start = (start & 0x3FFFFFFF) // 2
            text += main[start : start + last - first].decode("cp1252")
        else:
            text += main[start : start + 2 * (last - first)].decode("utf-16-le")
    return text


def read_docx(data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
    return "\n".join(paragraph.text for paragraph in docx.Document(io.BytesIO(data)).paragraphs)


def read_xls(data: bytes) -> str:
    sheet = xlrd.open_workbook(file_contents=data).sheet_by_index(0)
    assert sheet.cell_value(3, 1) == 5
    return "\n".join(f"{row[0].value} {row[1].value}" for row in sheet.get_rows())


def read_xlsx(data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
    sheet = openpyxl.load_workbook(io.BytesIO(data)).worksheets[0]
    assert sheet["B4"].value == 5
    return "\n".join(f"{row[0]} {row[1]}" for row in sheet.iter_rows(values_only=True))


DOCUMENTS: dict[str, tuple[Callable[[bytes], str], tuple[str, ...]]] = {  # reader, words
    "sample.pdf": (read_pdf, ("acentuação",)),
    "sample.txt": (bytes.decode, ("acentuação", "🎉")),
    "sample.doc": (read_doc, ("acentuação",)),
    "sample.docx": (read_docx, ("acentuação",)),
    "sample.xls": (read_xls, ("documents 6",)),
    "sample.xlsx": (read_xlsx, ("documents 6",)),
}


def content(sample: Sample, data: bytes) -> bytes:
    """What a reader of the file gets out of it, after checking that it is what was put in."""
    if sample.media_type == "image":
        return read_image(data, sample.mime_type)
    if sample.media_type != "document":
        return read_media(data, sample.mime_type)
    reader, words = DOCUMENTS[sample.name]
    text = reader(data)
    for word in (WORD, *words):
        assert word in text
    return text.encode()


each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)


def test_the_folder_holds_the_23_samples_and_they_are_small_and_distinct() -> None:
    folder = SAMPLES[0].path.parent
    beside = {"__init__.py", "__pycache__"}
    assert {path.name for path in folder.iterdir()} - beside == {s.name for s in SAMPLES}
    kinds = Counter(sample.media_type for sample in SAMPLES)
    assert kinds == {"image": 6, "audio": 6, "video": 5, "document": 6}
    contents = [sample.read() for sample in SAMPLES]
    assert len(set(contents)) == len({s.mime_type for s in SAMPLES}) == len(SAMPLES) == 23
    assert max(map(len, contents)) <= 40_000
    assert sum(map(len, contents)) <= 300_000


@each_sample
def test_a_sample_is_read_to_its_end(sample: Sample) -> None:
    assert content(sample, sample.read())


@each_sample
def test_libmagic_names_a_sample(sample: Sample) -> None:
    assert libmagic_type(sample.read()) == LIBMAGIC.get(sample.mime_type, sample.mime_type)


@each_sample
def test_variants_differ_in_bytes_and_not_in_what_is_read(sample: Sample) -> None:
    numbers = (0, 1, 2, 3, 99_999_999)
    files = [variant(sample, number) for number in numbers]
    assert files[0] == sample.read()
    assert files == [variant(sample, number) for number in numbers]
    assert len(set(files)) == len(files)
    original = content(sample, files[0])
    for data in files[1:]:
        read = content(sample, data)
        # A text is one line longer and AMR one frame; every other format reads the same.
        assert read[: len(original)] == original
        assert len(read) == len(original) or sample.name in {"sample.txt", "sample.amr"}
        assert libmagic_type(data) == libmagic_type(files[0])


@pytest.mark.parametrize("number", [-1, 10**8])
def test_a_variant_out_of_range_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match=str(number)):
        variant(SAMPLES[0], number)
