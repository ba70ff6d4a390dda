"""Programs that give the same answer without the zoo: in ONNX Runtime, in OpenCV, and in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from converters import ImagePreparation, quoted
from zoo.errors import UsageError
from zoo.prediction import image_lines as lines

# What each line imports, by what its programs write before the dot.
IMPORTS = (
    ("cv2.", "import cv2"),
    ("np.", "import numpy as np"),
    ("onnxruntime.", "import onnxruntime"),
    ("torch.", "import torch"),
    ("Image.", "from PIL import Image"),
    ("Path(", "from pathlib import Path"),
    ("read_mean_image(", "from zoo.preprocessing.mean_image import read_mean_image"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the programs ask: a net about an image.

    convert: the arguments of `dsd-zoo convert` but for `-o`. onnx: the .onnx that is run; None: what
        `convert` writes. pytorch: the net.py, likewise.
    input_name, outputs, output: of the ONNX form; the chosen output among all.
    image: the file, as it was given. preparation: how it is prepared.
    mean_image: the file of a mean image that is subtracted outside of the net.
    in_net: whether that net.py has `preprocess`, which prepares images so.
    threshold: the score from which on boxes are printed; None: it ranks classes.
    note: lines on what blobFromImage would resize otherwise.
    image_order: of the channels, if the net takes whole images and prepares them itself.
    """

    convert: Sequence[str]
    input_name: str
    outputs: Sequence[str]
    output: str
    image: Path
    preparation: ImagePreparation
    onnx: Path | None = None
    pytorch: Path | None = None
    mean_image: Path | None = None
    in_net: bool = False
    threshold: float | None = None
    note: Sequence[str] = ()
    image_order: str | None = None

    @property
    def finds_objects(self) -> bool:
        """Whether the net finds objects instead of ranking classes."""
        return self.threshold is not None


def with_onnxruntime(asked: Asked) -> str:
    """A program for ONNX Runtime."""
    given = asked.preparation
    output = lines.quoted(asked.output)
    if asked.image_order is not None:
        ready = [
            *lines.read(given, asked.image),
            *([lines.SIZE] if asked.finds_objects else []),
            *lines.whole_image(given, asked.image_order),
        ]
    else:
        ready = [
            *lines.read(given, asked.image),
            *lines.window(given, sizes=asked.finds_objects),
            *lines.batch(given, asked.mean_image),
        ]
    body = [
        *ready,
        f"session = onnxruntime.InferenceSession({_onnx(asked)})",
        f"(output,) = session.run([{output}], {{{lines.quoted(asked.input_name)}: batch}})",
    ]
    return _program(asked, _converted(asked, asked.onnx, "net.onnx"), body)


def with_opencv(asked: Asked) -> str:
    """A program for OpenCV's dnn module; channels, mean and scale are those of blobFromImage."""
    given = asked.preparation
    direct = lines.is_direct(given)
    sizes = [lines.SIZE] if asked.finds_objects else []
    several = lines.quoted(asked.output) if len(asked.outputs) > 1 else ""
    body = [
        *lines.read(given, asked.image),
        *(sizes if direct else lines.window(given, sizes=asked.finds_objects)),
        *(f"# {line}" for line in asked.note),
        *lines.blob(given, asked.mean_image),
        f"net = cv2.dnn.readNetFromONNX({_onnx(asked)})",
        "net.setInput(blob)",
        f"output = net.forward({several})",
    ]
    return _program(asked, _converted(asked, asked.onnx, "net.onnx"), body)


def with_torch(asked: Asked) -> str:
    """A program for PyTorch, with the net.py that `dsd-zoo convert` writes."""
    given = asked.preparation
    if asked.in_net:
        order = "" if given.resize == "pillow-bicubic" else "[:, :, ::-1].copy()"
        ready = [
            *lines.read(given, asked.image),
            *([lines.SIZE] if asked.finds_objects else []),
            f"batch = preprocess(image{order})",
        ]
    else:
        ready = [
            *lines.read(given, asked.image),
            *lines.window(given, sizes=asked.finds_objects),
            *lines.batch(given, asked.mean_image),
            "batch = torch.from_numpy(batch)",
        ]
    place = f"[{list(asked.outputs).index(asked.output)}]" if len(asked.outputs) > 1 else ""
    body = [*ready, "with torch.inference_mode():", f"    output = load()(batch){place}.numpy()"]
    load = f"from {_module(asked)} import {'load, preprocess' if asked.in_net else 'load'}"
    return _program(asked, _converted(asked, asked.pytorch, "net.py"), body, load)


def _module(asked: Asked) -> str:
    """The name that the net.py is imported by. UsageError if it has none."""
    name = "net" if asked.pytorch is None else asked.pytorch.stem
    if not name.isidentifier():
        raise UsageError(
            f"{asked.pytorch}: Python cannot import a file of that name; rename it, or --code none"
        )
    return name


CODE: dict[str, Callable[[Asked], str]] = {
    "onnxruntime": with_onnxruntime,
    "opencv": with_opencv,
    "torch": with_torch,
}
"""The programs by the name of what runs the net."""


def _program(asked: Asked, before: Iterable[str], body: Sequence[str], load: str | None = None) -> str:
    text = "\n".join([*body, *_print(asked)])
    scales = "= scale(" in text
    functions = ["", "", lines.TORCH7_SCALE, "", ""] if scales else [""]
    used = f"{text}\n{lines.TORCH7_SCALE}" if scales else text
    imports = [line for name, line in IMPORTS if name in used.replace("cv2.dnn", "cv2.")]
    return "\n".join([*before, *imports, *([load] if load else []), *functions, text]) + "\n"


def _converted(asked: Asked, there: Path | None, out: str) -> Iterator[str]:
    """The command that writes the form, unless it is there."""
    if there is None:
        command = quoted("dsd-zoo", "convert", *asked.convert, "-o", out)
        yield f"# {command if command.isprintable() else repr(command)}"


def _onnx(asked: Asked) -> str:
    return lines.quoted(asked.onnx or "net.onnx")


def _print(asked: Asked) -> Iterator[str]:
    if asked.threshold is None:
        yield "scores = output[0].reshape(-1)"
        yield 'for k in np.argsort(-scores, kind="stable")[:5]:'
        yield "    print(k, scores[k])"
        return
    yield "for number, label, score, *corners in output.reshape(-1, 7):"
    yield f"    if number == 0 and score >= {asked.threshold!r}:"
    if lines.is_direct(asked.preparation):
        yield "        print(int(label), score, *(corners * np.float32([width, height] * 2)))"
    else:
        yield "        print(int(label), score, *corners)  # shares of the window"
