"""Fuzzes one reader in a process of its own, with the zoo's code instrumented; `measure.py` forks it.

FOLDER/corpus holds the inputs that reached new code, FOLDER/findings what was found: an error that is not one
of the zoo's, or an input that took more than the limits, beside a .json that says what happened. A crash of
the process itself leaves its input there, too. FOLDER/executions counts the inputs that were read.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib
import json
import mmap
import os
import pkgutil
import struct
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import atheris
from limits import MOST_MEMORY, MOST_SECONDS, forget_peak, limit_address_space, peak_memory
from reader import HERE, MOST_BYTES, Reader, own_errors

HANG_SECONDS = 30
COLLECT_EVERY = 500
PACKAGES = ("converters", "zoo")
# Parts that read no files of others.
NOT_INSTRUMENTED = ("zoo.cli", "zoo.report", "zoo.demo", "zoo.__main__")


def instrument() -> None:
    """Import all modules, so that the fuzzer sees which lines an input reaches."""
    with atheris.instrument_imports(include=list(PACKAGES)):
        for package in map(importlib.import_module, PACKAGES):
            for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
                if not module.name.startswith(NOT_INSTRUMENTED):
                    importlib.import_module(module.name)


class Fuzzed:
    """Runs the reader on inputs, and writes down what it should not do."""

    def __init__(self, reader: Reader, folder: Path, work: Path) -> None:
        self._reader, self._work = reader, work
        self._findings = folder / "findings"
        self._allowed = own_errors()
        self._known = {json.loads(path.read_text())["what"] for path in self._findings.glob("*.json")}
        counter = folder / "executions"
        if not counter.exists():
            counter.write_bytes(bytes(8))
        with counter.open("r+b") as file:
            self._counter = mmap.mmap(file.fileno(), 8)
        self._since = 0

    def __call__(self, content: bytes) -> None:
        (count,) = struct.unpack("<q", self._counter)
        self._counter[:] = struct.pack("<q", count + 1)
        began = time.process_time()
        try:
            self._reader.read(content, self._work)
        except self._allowed:
            pass
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._note(content, "error", _place(error), "".join(traceback.format_exception(error)[-12:]))
        took = time.process_time() - began
        if took > MOST_SECONDS:
            self._note(content, "slow", f"{took:.0f} s of processor time, instrumented", "")
        grown = peak_memory() - self._base
        if grown > MOST_MEMORY:
            self._note(content, "memory", f"{grown >> 20:,} MB, instrumented", "")
        self._since += 1
        if self._since >= COLLECT_EVERY or grown > MOST_MEMORY:
            self.settle()

    def settle(self) -> None:
        """Free what is left of earlier inputs, and measure from here on."""
        gc.collect()
        forget_peak()
        self._base, self._since = peak_memory(), 0

    def _note(self, content: bytes, kind: str, what: str, text: str) -> None:
        if what in self._known:
            return
        self._known.add(what)
        path = self._findings / f"{kind}-{hashlib.sha256(content).hexdigest()[:16]}"
        path.write_bytes(content)
        path.with_suffix(".json").write_text(json.dumps({"kind": kind, "what": what, "text": text}, indent=2))


def _place(error: BaseException) -> str:
    """The kind of error, and the last line of the zoo that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if any(f"/{package}/" in f.filename for package in PACKAGES)] or frames
    path = ours[-1].filename
    path = next(
        (path[path.rindex(f"/{package}/") + 1 :] for package in PACKAGES if f"/{package}/" in path), path
    )
    return f"{type(error).__name__} at {path}:{ours[-1].lineno}"


def fuzz_and_exit(reader: Reader, folder: Path, seconds: int) -> None:
    """Fuzz for so many seconds. It ends the process."""
    warnings.simplefilter("ignore")
    corpus, findings = folder / "corpus", folder / "findings"
    corpus.mkdir(parents=True, exist_ok=True)
    findings.mkdir(exist_ok=True)
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as place:
        seeds, work = Path(place) / "seeds", Path(place) / "work"
        seeds.mkdir()
        work.mkdir()
        for content in reader.seeds(seeds):
            (corpus / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)
        fuzzed = Fuzzed(reader, folder, work)
        for path in sorted(corpus.iterdir())[:5]:  # what is imported late
            with contextlib.suppress(*own_errors()):
                reader.read(path.read_bytes(), work)
        fuzzed.settle()
        limit_address_space()
        options = {
            "max_total_time": seconds,
            "max_len": MOST_BYTES,
            "len_control": 30,
            "timeout": HANG_SECONDS,
            "rss_limit_mb": 0,
            "artifact_prefix": f"{findings}{os.sep}",
            "close_fd_mask": 3,
        }
        arguments = [f"-{key}={value}" for key, value in options.items()]
        atheris.Setup([str(HERE / "one_reader.py"), *arguments, str(corpus)], fuzzed)
        atheris.Fuzz()
