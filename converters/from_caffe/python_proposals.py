"""Faster R-CNN's proposal layer in Python as a layer that can be converted.

The definition names the layer's code (rpn.proposal_layer) and gives its stride. The other numbers are in the
code and the configuration of the project, so the user says which project it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from converters.errors import UnsupportedError, UsageError
from converters.from_caffe import schema

# The type of layer that computes what the Python code computes: see layers/forks/python_proposal.py.
PROPOSAL_TYPE = "rpn.proposal_layer"


@dataclass(frozen=True)
class Settings:
    """The numbers of a project in phase TEST: lib/fast_rcnn/config.py and lib/rpn/generate_anchors.py."""

    base_size: int = 16
    ratios: tuple[float, ...] = (0.5, 1, 2)
    scales: tuple[float, ...] = (8, 16, 32)
    pre_nms_topn: int = 6000
    post_nms_topn: int = 300
    nms_thresh: float = 0.7
    min_size: int = 16


# py-R-FCN took these numbers over from py-faster-rcnn, and its configuration files for tests leave them so.
PROJECTS: Mapping[str, Settings] = {"py-faster-rcnn": Settings(), "py-R-FCN": Settings()}

_ENTRY = re.compile(
    r"""['"]?(?P<key>\w+)['"]?\s*:\s*(?:!!python/tuple\s*)?"""
    r"""(?P<value>[\[(][^\])]*[\])]|[-+.\w]+)\s*,?\s*"""
)


def replace_python_proposals(net: schema.Message, project: str) -> list[str]:
    """Replace the proposal layers of a net, in place, by `PROPOSAL_TYPE`; a note for each says its numbers.

    UsageError for an unknown project, and for a net without such a layer. UnsupportedError for a layer that
    is given numbers which the project's code does not read.
    """
    settings = {name.lower(): numbers for name, numbers in PROJECTS.items()}.get(project.lower())
    if settings is None:
        raise UsageError(f"--proposal {project}: expected one of {', '.join(PROJECTS)}")
    found = [layer for layer in net.layer if is_python_proposal(layer)]
    if not found:
        raise UsageError(
            f"--proposal {project}: the net has no Python layer of rpn.proposal_layer; leave it out"
        )
    notes = []
    for layer in found:
        numbers = _numbers(layer, settings)
        layer.type = PROPOSAL_TYPE
        layer.proposal_param.CopyFrom(numbers)
        layer.ClearField("python_param")
        notes.append(f"layer {layer.name!r} computes {project}'s proposals with {_text(numbers)}")
    return notes


def is_python_proposal(layer: schema.Message) -> bool:
    """Whether this is a Python layer of Faster R-CNN's proposal code."""
    p = layer.python_param
    return bool(layer.type == "Python" and p.module == "rpn.proposal_layer" and p.layer == "ProposalLayer")


def advice(layer: schema.Message) -> str:
    """What to do about a proposal layer in Python: the option, or a layer of type Proposal in its place."""
    try:
        numbers = _numbers(layer, Settings())
    except UnsupportedError as error:
        return str(error)
    names = " ".join(
        [
            f'name: {_quoted(layer.name)} type: "Proposal"',
            *(f"bottom: {_quoted(name)}" for name in layer.bottom),
            *(f"top: {_quoted(name)}" for name in layer.top),
        ]
    )
    return (
        f"layer {layer.name!r} (Python): its computation is Faster R-CNN's rpn.proposal_layer, whose numbers "
        f"are in the configuration of the project: give --proposal {' or --proposal '.join(PROJECTS)}. "
        "With other numbers, write a layer of type Proposal in its place, which puts regions below min_size "
        "last where the Python code drops them:\n"
        f"  layer {{ {names} proposal_param {{ {_text(numbers)} }} }}"
    )


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text(param: schema.Message) -> str:
    """The numbers of a proposal_param as they stand in a definition."""
    parts = []
    for field, value in param.ListFields():
        parts += [f"{field.name}: {number:g}" for number in (value if field.is_repeated else [value])]
    return " ".join(parts)


def _numbers(layer: schema.Message, settings: Settings) -> schema.Message:
    """The proposal_param of a Python layer: the project's numbers, with those of its param_str."""
    given = _parsed(layer)
    strides = given.pop("feat_stride", [])
    scales = given.pop("scales", list(settings.scales))
    if given:
        raise UnsupportedError(
            f"layer {layer.name!r} (Python): its param_str gives {', '.join(given)}, which neither "
            f"{' nor '.join(PROJECTS)} reads; write it as a layer of type Proposal"
        )
    if len(strides) != 1 or strides[0] < 1 or strides[0] % 1 or not scales or min(scales) <= 0:
        raise UnsupportedError(
            f"layer {layer.name!r} (Python): its param_str is {layer.python_param.param_str!r}; expected a "
            "feat_stride from 1 on and, where given, positive scales"
        )
    p = schema.new("ProposalParameter")
    p.feat_stride = int(strides[0])
    p.base_size, p.min_size = settings.base_size, settings.min_size
    p.ratio.extend(settings.ratios)
    p.scale.extend(scales)
    p.pre_nms_topn, p.post_nms_topn = settings.pre_nms_topn, settings.post_nms_topn
    p.nms_thresh = settings.nms_thresh
    return p


def _parsed(layer: schema.Message) -> dict[str, list[float]]:
    """The numbers of a param_str by name: YAML of one level, `'feat_stride': 16` or `{'scales': [4, 8]}`."""
    text = layer.python_param.param_str.strip()
    inner = text[1:-1].strip() if text.startswith("{") and text.endswith("}") else text
    found: dict[str, list[float]] = {}
    position = 0
    while position < len(inner):
        entry = _ENTRY.match(inner, position)
        try:
            if entry is None:
                raise ValueError
            numbers = [float(part) for part in entry["value"].strip("[()]").split(",") if part.strip()]
        except ValueError:
            raise UnsupportedError(
                f"layer {layer.name!r} (Python): its param_str {text!r} cannot be read; expected "
                "'feat_stride': NUMBER"
            ) from None
        found[entry["key"]] = numbers
        position = entry.end()
    return found
