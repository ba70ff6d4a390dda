"""Runs a net in an OpenCV, in a process of its own: that of another Python, or one that a net may crash."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np

import converters
from zoo.errors import UsageError

# One net and one input; a large net takes seconds.
SECONDS = 600
# What pip installs: any OpenCV, and the last that has the old readers.
OPENCV, OPENCV_4 = "opencv-python-headless", "opencv-python-headless==4.*"
# What that Python runs: it needs cv2 and numpy only. Of a net with one output its name does not matter.
PROGRAM = """
import json, sys
import cv2, numpy as np
files, given, wanted, out = json.loads(sys.argv[1])
dnn = cv2.dnn
if len(files) == 1 and files[0].endswith(".onnx"):
    net = dnn.readNetFromONNX(files[0])
elif len(files) == 1 and not files[0].endswith((".caffemodel", ".prototxt")):
    net = dnn.readNetFromTorch(files[0])
else:
    net = dnn.readNetFromCaffe(*files)
inputs = np.load(given)
for name in inputs.files:
    if len(inputs.files) == 1:
        net.setInput(inputs[name])
    else:
        net.setInput(inputs[name], name)
ends = list(net.getUnconnectedOutLayersNames())
results = [net.forward()] if len(wanted) == 1 and len(ends) == 1 else net.forward(wanted)
np.savez(out, **{str(k): result for k, result in enumerate(results)})
"""


def python_at(python: str | Path) -> str:
    """The Python as a command for any working folder: `-c` would import from the folder it is started in."""
    found = shutil.which(str(python)) or str(python)
    return str(Path(found).absolute()) if Path(found).exists() else found


@dataclass(frozen=True, slots=True)
class OpenCV:
    """The OpenCV of a Python. `version`: such as 5.0.0."""

    python: str
    version: str

    @classmethod
    def of(cls, python: str | Path = sys.executable, wanted: str = OPENCV) -> OpenCV:
        """The OpenCV that a Python can import.

        wanted: what to install where there is none.

        Raises:
            UsageError: it is no Python, or has no OpenCV.
        """
        code = "import cv2; print(cv2.__version__)"
        try:
            done = subprocess.run(
                [python_at(python), "-c", code],
                capture_output=True,
                text=True,
                timeout=SECONDS,
                cwd=gettempdir(),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UsageError(f"{python}: not a Python that can be run: {error}") from error
        if done.returncode:
            raise UsageError(
                f"{python}: it cannot import cv2, which is OpenCV\n"
                f'  {converters.quoted(str(python))} -m pip install "{wanted}"'
            )
        return cls(python_at(python), done.stdout.strip())

    @property
    def major(self) -> int:
        """The first number of the version."""
        return int(self.version.partition(".")[0])

    def run(
        self, files: Sequence[Path], inputs: Mapping[str, np.ndarray[Any, Any]], outputs: Sequence[str]
    ) -> dict[str, np.ndarray[Any, Any]]:
        """The outputs of the net in `files`, by name.

        files: an .onnx; or, for OpenCV 4, a prototxt and a caffemodel, or a Torch7 file.

        Raises:
            UsageError: OpenCV cannot read or run the net.
        """
        with converters.temporary_folder(Path(gettempdir())) as folder:
            given, out = folder / "inputs.npz", folder / "outputs.npz"
            np.savez(given, **dict[str, Any](inputs))
            places = [str(path.absolute()) for path in files]
            arguments = json.dumps([places, str(given), list(outputs), str(out)])
            try:
                done = subprocess.run(
                    [self.python, "-c", PROGRAM, arguments],
                    capture_output=True,
                    text=True,
                    timeout=SECONDS,
                    cwd=folder,
                )
            except subprocess.TimeoutExpired as error:
                raise UsageError(
                    f"OpenCV {self.version} does not finish {files[-1]} in {SECONDS} s"
                ) from error
            if done.returncode or not out.is_file():
                reason = done.stderr.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
                raise UsageError(f"OpenCV {self.version} cannot run {files[-1]}: {reason[0]}")
            with np.load(out) as found:
                return {name: found[str(k)] for k, name in enumerate(outputs)}
