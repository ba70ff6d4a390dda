"""Finds out what kind a file is: by magic bytes, then by its name, then by typical content."""

from __future__ import annotations

import re
import string
import struct
from enum import Enum
from pathlib import Path

from converters.errors import FormatError, UsageError, WrongFileError

# Enough for a magic number, the start of an HTML page or the first words of a text.
HEAD_BYTES = 512


class Kind(Enum):
    """The kinds of files the converters read."""

    PROTOTXT = "Caffe network definition (prototxt)"
    CAFFEMODEL = "Caffe weights (caffemodel)"
    CAFFE_HDF5 = "Caffe weights (HDF5)"
    DEEP_COMPRESSION = "Deep Compression weights (.net)"
    TORCH7 = "Torch7 file (.t7)"
    ONNX = "ONNX model"


# Other kinds of files that people find under the name of a model, and what to do about them.
_FOREIGN = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer, not the file it points to: fetch the real one (git lfs pull)",
    ),
    (b"PK\x03\x04", "a zip archive: unpack it and name the file inside"),
    (b"\x1f\x8b", "gzip-compressed: unpack it first (gunzip)"),
    (b"BZh", "bzip2-compressed: unpack it first (bunzip2)"),
    (b"\xfd7zXZ\x00", "xz-compressed: unpack it first (unxz)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-zip archive: unpack it first"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (
        b"\x80\x02",
        "a Python pickle (an old PyTorch file?), which is neither Caffe nor Torch7 and is never loaded",
    ),
    (b"\x80\x03", "a Python pickle, which is neither Caffe nor Torch7 and is never loaded"),
    (b"\x80\x04", "a Python pickle, which is neither Caffe nor Torch7 and is never loaded"),
    (b"\x80\x05", "a Python pickle, which is neither Caffe nor Torch7 and is never loaded"),
    (b"\x93NUMPY", "a NumPy array, not a network"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
)
# How the zip archives of torch.save and torch.jit.save begin: the head of their first entry ends in its name.
_PYTORCH_ZIP = re.compile(
    rb"PK\x03\x04.{26}[^/\0]+/"
    rb"(data\.pkl|constants\.pkl|data/\d|code/|version|byteorder|\.data/|\.format_version|\.storage_alignment)",
    re.DOTALL,
)
_TORCH7_SUFFIXES = {".t7", ".th", ".t7b", ".net7"}
_TORCH7_TYPE_TAGS = range(9)


def foreign(head: bytes) -> str | None:
    """A description of a well-known kind of file that is no model, if these bytes begin one; else None."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<script")):
        return "an HTML page (a download link that led to a web page?), not a model: download the file again"
    if _PYTORCH_ZIP.match(head):
        return (
            "a PyTorch checkpoint (torch.save or torch.jit.save), which is neither Caffe nor Torch7 and is "
            "never loaded"
        )
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it and name the file inside"
    return next((what for magic, what in _FOREIGN if head.startswith(magic)), None)


def identify(path: Path) -> Kind:
    """The kind of a file.

    UsageError if it cannot be opened, FormatError if it is empty, WrongFileError if it is of no kind listed.
    """
    head = _head(path)
    if not head:
        raise FormatError(f"{path}: the file is empty; download or copy it again")
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return Kind.CAFFE_HDF5
    if (what := foreign(head)) is not None:
        raise WrongFileError(f"{path}: this is {what}")
    if path.suffix.lower() == ".py":
        raise WrongFileError(f"{path}: this is Python code, which is never read; give the net's own files")
    if head.lstrip().startswith(b"{"):
        raise WrongFileError(f"{path}: this is JSON, not a model")
    kind = _by_name(path, head) or _by_content(head)
    if kind is None:
        raise WrongFileError(
            f"{path}: neither the content nor the name says what this is; expected one of: "
            + ", ".join(k.value for k in Kind)
        )
    if kind is Kind.TORCH7 and is_text(head) and not _first_word(head).isdigit():
        raise WrongFileError(
            f"{path}: this is text, but not a Torch7 file, which would begin with a number; "
            "download or save it again"
        )
    return kind


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UsageError(f"{path}: this is a directory; name the model files inside it") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def _by_name(path: Path, head: bytes) -> Kind | None:
    suffix = path.suffix.lower()
    if suffix in {".prototxt", ".pbtxt", ".pt"} and is_text(head):
        return Kind.PROTOTXT
    if suffix in _TORCH7_SUFFIXES:
        return Kind.TORCH7
    if suffix == ".caffemodel" and not is_text(head):
        return Kind.CAFFEMODEL
    if suffix == ".onnx":
        return Kind.ONNX
    if suffix == ".net" and not is_text(head) and not _is_binary_torch7(head):
        return Kind.DEEP_COMPRESSION
    return None


def _by_content(head: bytes) -> Kind | None:
    if len(head) >= 8 and head[0] in _TORCH7_TYPE_TAGS and head[1:4] == b"\0\0\0":
        return Kind.TORCH7
    if is_text(head):
        return Kind.TORCH7 if _first_word(head).isdigit() else Kind.PROTOTXT
    if head[:1] == b"\x08" and b"\x12" in head[2:4]:  # ModelProto: ir_version, then producer_name
        return Kind.ONNX
    if head[:1] in {b"\x0a", b"\x12"} or head[:2] == b"\xa2\x06":  # NetParameter: name, layers or layer
        return Kind.CAFFEMODEL
    return None


def _first_word(head: bytes) -> bytes:
    return next(iter(head.split(maxsplit=1)), b"")


def _is_binary_torch7(head: bytes) -> bool:
    """Whether a table or an object of Torch begins here; a Deep Compression file begins with other numbers.

    After the type and the index of the object comes a text (`V 1` or a class name), or the number of entries
    of the table and its first key: a number or a text.
    """
    if len(head) < 24:
        return False
    kind, index, third, fourth = struct.unpack_from("<4i", head)
    if kind == 4:
        return index > 0 and _is_name(head, 8)
    if kind != 3 or index <= 0 or third < 0:
        return False
    if fourth == 2:
        return _is_name(head, 16)
    return fourth == 1 and struct.unpack_from("<d", head, 16)[0] in range(1, third + 1)


def _is_name(head: bytes, offset: int) -> bool:
    """Whether a length and a text of that length begin here."""
    (length,) = struct.unpack_from("<i", head, offset)
    text = head[offset + 4 : offset + 4 + length]
    return 0 < length <= HEAD_BYTES and bool(text) and is_text(text)


def is_text(head: bytes) -> bool:
    """Whether these bytes can be text: no control characters except white space."""
    printable = set(string.printable.encode()) | set(range(0x80, 0x100))
    return all(byte in printable for byte in head)
