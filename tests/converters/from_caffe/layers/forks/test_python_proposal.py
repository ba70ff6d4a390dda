"""Faster R-CNN's proposal layer in Python, with the settings of its projects, against a float64 reference."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import reference_regions as reference
from corpus_cases import run_onnx, run_pytorch
from reference_nets import assert_close, write_net

import converters

PARAM_STR = "'feat_stride': 16"
SHAPES = {"s": (1, 18, 6, 8), "d": (1, 36, 6, 8), "info": (1, 3)}
NUMBERS = (
    "feat_stride: 16 base_size: 16 min_size: 16 ratio: 0.5 ratio: 1 ratio: 2 scale: 8 scale: 16 scale: 32 "
    "pre_nms_topn: 6000 post_nms_topn: 300 nms_thresh: 0.7"
)


def definition(folder: Path, param_str: str = PARAM_STR, module: str = "rpn.proposal_layer") -> Path:
    text = (
        'layer { name: "proposal" type: "Python" bottom: "s" bottom: "d" bottom: "info" '
        'top: "rois" top: "found" '
        f'python_param {{ module: "{module}" layer: "ProposalLayer" param_str: "{param_str}" }} }}'
    )
    return write_net(folder, text, SHAPES)[0]


def inputs(scale: float) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(8)
    scores = (generator.permutation(2 * 9 * 48) + 1).reshape(SHAPES["s"]) / 1000
    deltas = generator.normal(0, 0.4, SHAPES["d"])
    arrays = {"s": scores, "d": deltas, "info": np.array([[88, 120, scale]])}
    return {name: array.astype(np.float32) for name, array in arrays.items()}


@pytest.mark.parametrize("scale", [1.0, 4.5])  # at 4.5, most boxes are below the smallest size
@pytest.mark.parametrize(
    ("param_str", "scales"),
    [(PARAM_STR, [8, 16, 32]), ("{'scales': [1, 3, 9], 'feat_stride': 16}", [1, 3, 9])],
)
def test_the_option_computes_what_the_python_code_computes(
    tmp_path: Path, scale: float, param_str: str, scales: list[float]
) -> None:
    """Where Proposal gives the score 0, the Python code drops the box: the others compete as without it."""
    given = inputs(scale)
    model = converters.load(definition(tmp_path, param_str), proposal="py-faster-rcnn")
    rois, found = reference.proposals(
        given["s"].astype(float), given["d"].astype(float), [88, 120, scale],
        reference.anchors(16, [0.5, 1, 2], scales), 16, 16, 6000, 300, 0.7,
    )  # fmt: skip
    large = found > 0
    assert 0 < large.sum() < 300
    converters.save(model, tmp_path / "net.onnx")
    converters.save(model, tmp_path / "net.py")
    for got in (run_onnx(tmp_path / "net.onnx", given), run_pytorch(tmp_path / "net.py", given, model)):
        assert_close(got["rois"], rois[large])
        assert_close(got["found"], found[large][:, None])


@pytest.mark.parametrize("project", ["py-faster-rcnn", "py-R-FCN", "py-r-fcn"])
def test_every_number_is_in_the_report(tmp_path: Path, project: str) -> None:
    path = definition(tmp_path)
    wanted = f"layer 'proposal' computes {project}'s proposals with {NUMBERS}"
    assert wanted in converters.load(path, proposal=project).meta["report"].notes
    found = converters.inspect(path, proposal=project)
    assert found.complete
    assert wanted in found.notes


def test_without_the_option_the_error_has_the_layer_to_write(tmp_path: Path) -> None:
    path = definition(tmp_path)
    with pytest.raises(
        converters.UnsupportedError, match="--proposal py-faster-rcnn or --proposal py-R-FCN"
    ) as caught:
        converters.load(path)
    printed = str(caught.value).splitlines()[-1].strip()
    assert printed.endswith(f"proposal_param {{ {NUMBERS} }} }}")
    path.write_text(re.sub(r"layer \{.*", printed, path.read_text()))
    assert list(converters.load(path).meta["report"].outputs) == ["rois", "found"]


@pytest.mark.parametrize(
    ("param_str", "says"),
    [
        ("", "param_str is ''; expected a feat_stride"),
        ("'feat_stride': 0", "expected a feat_stride from 1 on"),
        ("'feat_stride': 16, 'ratios': [1]", "gives ratios, which neither py-faster-rcnn nor py-R-FCN reads"),
        ("'feat_stride': sixteen", "cannot be read"),
        ("16", "cannot be read"),
    ],
)
def test_what_the_projects_do_not_read_is_refused(tmp_path: Path, param_str: str, says: str) -> None:
    path = definition(tmp_path, param_str)
    for options in ({}, {"proposal": "py-faster-rcnn"}):
        with pytest.raises(converters.UnsupportedError, match=re.escape(says)):
            converters.load(path, **options)


def test_the_option_needs_a_known_project_and_such_a_layer(tmp_path: Path) -> None:
    with pytest.raises(
        converters.UsageError, match="--proposal mine: expected one of py-faster-rcnn, py-R-FCN"
    ):
        converters.load(definition(tmp_path), proposal="mine")
    other = definition(tmp_path, module="my.proposal_layer")
    with pytest.raises(converters.UsageError, match=r"no Python layer of rpn\.proposal_layer"):
        converters.load(other, proposal="py-faster-rcnn")
    with pytest.raises(converters.UnsupportedError, match="its computation is in a Python file"):
        converters.load(other)
