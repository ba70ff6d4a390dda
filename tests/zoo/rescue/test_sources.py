"""What is found in a source, what its expressions stand for, and what a patch changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.rescue.calls import find_sources, read_source
from zoo.rescue.patch import patched, replacement

HEAD = "import os, sys\nimport os.path as osp\nfrom pathlib import Path\nimport cv2\n"


def source(folder: Path, text: str):
    path = folder / "program.py"
    path.write_bytes(text.encode())
    return read_source(path)


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ('cv2.dnn.readNetFromTorch("a.t7")', "a.t7"),
        ('cv2.dnn.readNetFromTorch(model="a.t7", isBinary=True)', "a.t7"),
        ('cv2.dnn.readNetFromTorch(os.path.join("m", "a.t7"))', "m/a.t7"),
        ('cv2.dnn.readNetFromTorch("m" + "/" + "a.t7")', "m/a.t7"),
        ('cv2.dnn.readNetFromTorch(str(Path("m") / "a.t7"))', "m/a.t7"),
        ('K = "a"\ncv2.dnn.readNetFromTorch(f"m/{K}.t7")', "m/a.t7"),
        ('A, B = "a.t7", "b"\ncv2.dnn.readNetFromTorch(A)', "a.t7"),
        ('M = "m"\ndef f():\n    p = osp.join(M, "a.t7")\n    return cv2.dnn.readNetFromTorch(p)', "m/a.t7"),
        ('M = "m.t7"\nif sys.argv:\n    M = "m.t7"\ncv2.dnn.readNetFromTorch(M)', "m.t7"),
    ],
)
def test_literals_and_variables_are_followed(tmp_path, lines, wanted):
    (call,) = source(tmp_path, HEAD + lines).calls
    assert (call.weights, call.problem) == (wanted, None)


def test_the_folder_of_the_source_is_known(tmp_path):
    here = "HERE = os.path.dirname(os.path.abspath(__file__))\n"
    text = 'cv2.dnn.readNetFromTorch(os.path.join(HERE, "a.t7"))'
    (call,) = source(tmp_path, HEAD + here + text).calls
    assert call.weights == str(tmp_path / "a.t7")
    text = 'cv2.dnn.readNetFromTorch(str(Path(__file__).resolve().parent / "a.t7"))'
    (call,) = source(tmp_path, HEAD + text).calls
    assert call.weights == str(tmp_path / "a.t7")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("cv2.dnn.readNetFromTorch(sys.argv[1])", "decided when the program runs"),
        ("def f(p):\n    cv2.dnn.readNetFromTorch(p)", "the caller or the program decides it"),
        ('p = "a"\np = "b"\ncv2.dnn.readNetFromTorch(p)', "it is assigned more than once"),
        ('for p in ("a", "b"):\n    cv2.dnn.readNetFromTorch(p)', "the caller or the program decides it"),
        ("cv2.dnn.readNetFromTorch(p)", "it is not assigned in this file"),
        ("p = q\nq = p\ncv2.dnn.readNetFromTorch(p)", "its variables depend on each other"),
        ("cv2.dnn.readNetFromTorch()", "no file is given"),
    ],
)
def test_what_the_program_decides_is_said(tmp_path, lines, reason):
    (call,) = source(tmp_path, HEAD + lines).calls
    assert call.weights is None
    assert reason in str(call.problem)


@pytest.mark.parametrize(
    ("line", "called", "definition", "weights"),
    [
        ('cv2.dnn.readNetFromCaffe("p", "w")', "cv2.dnn.readNetFromCaffe", "p", "w"),
        ('cv2.dnn.readNet("w", "p")', "cv2.dnn.readNet", "p", "w"),
        ('caffe.Net("p", "w", caffe.TEST)', "caffe.Net", "p", "w"),
        ('caffe.Net("p", caffe.TEST, weights="w")', "caffe.Net", "p", "w"),
        ('caffe.Net("p", caffe.TEST)', "caffe.Net", "p", None),
        ('load_lua("w")', "torch.utils.serialization.load_lua", None, "w"),
        ('torchfile.load("w")', "torchfile.load", None, "w"),
        ('self.cv.dnn.readNetFromCaffe("p", "w")', "cv2.dnn.readNetFromCaffe", "p", "w"),
    ],
)
def test_every_reader_is_found(tmp_path, line, called, definition, weights):
    text = f"import caffe, cv2, torchfile\nfrom torch.utils.serialization import load_lua\n{line}\n"
    (call,) = source(tmp_path, text).calls
    assert (call.reader.called, call.definition, call.weights, call.line) == (called, definition, weights, 3)


@pytest.mark.parametrize("line", ['json.load("w")', 'torch.load("w")', "net.Net(1)", "readNet = 1"])
def test_other_functions_of_such_names_are_none(tmp_path, line):
    assert source(tmp_path, f"import json, torch\n{line}\n").calls == []


def changed(folder: Path, text: str, onnx: str = "a.onnx") -> str:
    read = source(folder, text)
    files = [Path(folder / "a.prototxt"), Path(folder / "a.caffemodel")]
    return patched(read, [replacement(call, files, folder / onnx, ["data"]) for call in read.calls])


def test_only_the_call_changes(tmp_path):
    call = 'cv2.dnn.readNetFromCaffe(\r\n    "a.prototxt",\r\n    "a.caffemodel")'
    text = f'import cv2\r\nx = "ÄÖ";net = {call}  # ü\r\n'
    wanted = "import cv2\r\nx = \"ÄÖ\";net = cv2.dnn.readNetFromONNX('a.onnx')  # ü\r\n"
    assert changed(tmp_path, text) == wanted


def test_a_name_that_was_imported_alone_is_imported_anew(tmp_path):
    text = 'from cv2.dnn import blobFromImage, readNetFromCaffe as r\nnet = r("a.prototxt", "a.caffemodel")\n'
    wanted = "from cv2.dnn import blobFromImage, readNetFromONNX\nnet = readNetFromONNX('a.onnx')\n"
    assert changed(tmp_path, text) == wanted


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ('"m/a.caffemodel"', "'m/a.onnx'"),
        ('os.path.join(HERE, "a.caffemodel")', "os.path.join(HERE, 'a.onnx')"),
        ('f"{HERE}/a.caffemodel"', "f'{HERE}/a.onnx'"),
        ("WEIGHTS", "str(WEIGHTS).rsplit('.', 1)[0] + '.onnx'"),
    ],
)
def test_the_path_keeps_its_form(tmp_path, expression, wanted):
    text = f'import cv2, os\ncv2.dnn.readNetFromCaffe("a.prototxt", {expression})\n'
    assert changed(tmp_path, text) == f"import cv2, os\ncv2.dnn.readNetFromONNX({wanted})\n"


def test_another_place_is_written_as_it_is_seen_from_the_source(tmp_path):
    text = 'import cv2\ncv2.dnn.readNetFromCaffe("a.prototxt", "a.caffemodel")\n'
    assert changed(tmp_path, text, "out/b.onnx") == "import cv2\ncv2.dnn.readNetFromONNX('out/b.onnx')\n"


def test_lists_of_outputs_are_asked_for_one_by_one(tmp_path):
    text = (
        'import cv2\nWANTED = ["a", "b"]\nnet = cv2.dnn.readNetFromCaffe("a.prototxt", "a.caffemodel")\n'
        'x, y = net.forward(WANTED)\nz = net.forward("a")\nu = net.forward(("a", "b"))\n'
    )
    lines = changed(tmp_path, text).splitlines()
    assert lines[3:] == [
        "x, y = [net.forward(name) for name in WANTED]",
        'z = net.forward("a")',
        "u = [net.forward(name) for name in ('a', 'b')]",
    ]


def test_installed_packages_are_left_out(tmp_path):
    for place in ("a.py", "src/b.cpp", ".venv/lib/c.py", "site-packages/d.py", "e.txt"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("")
    assert [path.name for path in find_sources(tmp_path)] == ["a.py", "b.cpp"]
