"""What the schema does not know: passed over and reported where it cannot matter, and an error elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

import converters

DATA = (
    'layer {{ name: "data" type: "Data" top: "data" {} '
    "transform_param {{ crop_size: 4 mean_value: 1 mean_value: 2 {} }} }}\n"
)
BODY = 'layer { name: "body" type: "ReLU" bottom: "data" top: "body" }\n'


def notes(folder: Path, text: str, **options: object) -> list[str]:
    path = folder / "net.prototxt"
    path.write_text(text)
    found: list[str] = converters.load(path, **options).meta["report"].notes  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            DATA.format("data_param { shuffle: true\n cache: true }", "random_resize_param { a: 1 }") + BODY,
            "not read, because inference leaves out layer 'data': "
            "shuffle (line 1), cache (line 2), random_resize_param (line 2)",
        ),
        (
            DATA.format("", "resize_param { height: 8 }\nresize_param { height: 9 }") + BODY,
            "not read, because inference leaves out layer 'data': resize_param (line 2)",
        ),
        (
            DATA.format("", "")
            + BODY
            + 'layer { name: "loss" type: "SmoothL1Loss" bottom: "body" '
            + "loss_param { normalization: PRE_FIXED } }",
            "not read, because inference leaves out layer 'loss': normalization (line 3)",
        ),
        (
            DATA.format("", "")
            + BODY
            + 'layer { name: "grid" type: "Grid" bottom: "data" include { phase: TRAIN } '
            + 'grid_param { a: "}" } }',
            "not read, because inference leaves out layer 'grid': grid_param (line 3)",
        ),
        (
            "mem_param { optimize_train: true }\nbn_stats_batch_size: 3\n" + DATA.format("", "") + BODY,
            "not read, because it steers memory or training only: "
            "mem_param (line 1), bn_stats_batch_size (line 2)",
        ),
        (
            'layers { name: "data" type: VIDEO_DATA top: "data" transform_param { crop_size: 4 mean_value: 1 '
            'mean_value: 2 } }\nlayers { name: "body" type: RELU bottom: "data" top: "body" }',
            "not read, because inference leaves out layer 'data': type (line 1)",
        ),
        (
            DATA.format('include { stage: "a" }', "odd: 1").replace('"data" type', '"other" type')
            + DATA.format("", "")
            + BODY,
            "not read, because inference leaves out layer 'other': odd (line 1)",
        ),
    ],
)
def test_what_inference_leaves_out_may_say_anything(tmp_path: Path, text: str, wanted: str) -> None:
    assert notes(tmp_path, text) == [wanted]
    found = converters.inspect(tmp_path / "net.prototxt")
    assert found.complete
    assert found.notes[0] == wanted


def test_the_state_decides_what_is_left_out(tmp_path: Path) -> None:
    extra = 'layer { name: "more" type: "Power" bottom: "body" top: "more" include { stage: "s" } odd: 1 }'
    text = DATA.format("", "") + BODY + extra
    assert notes(tmp_path, text) == ["not read, because inference leaves out layer 'more': odd (line 3)"]
    with pytest.raises(converters.UnsupportedError, match=r"3: unknown field 'odd' .* in layer 'more'"):
        notes(tmp_path, text, stages=["s"])


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        ("relu_param { slope: 1 }", "unknown field 'slope' of ReLUParameter in layer 'body'"),
        ("relu_param { engine: FAST }", r"no value named FAST\. in layer 'body'"),
        ("relu_param { engine: CAFFE } relu_param { engine: CAFFE }", 'multiple "relu_param" fields'),
        ("include { phase: DEPLOY }", "no value named DEPLOY"),
        ("include { phase: TRAIN when: 3 }", "unknown field 'when' of NetStateRule"),
    ],
)
def test_in_a_layer_that_counts_it_is_an_error(tmp_path: Path, layer: str, says: str) -> None:
    text = DATA.format("", "odd: 1") + BODY.replace('top: "body"', f'top: "body" {layer}')
    with pytest.raises(converters.ConverterError, match=says):
        notes(tmp_path, text)


def test_all_unknown_fields_are_named_at_once(tmp_path: Path) -> None:
    text = DATA.format("", "") + BODY.replace("bottom", "\nodd: 1 even { a: 1 }\nprime: 2\nbottom")
    with pytest.raises(converters.UnsupportedError) as caught:
        notes(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'net.prototxt'}:3: unknown field 'odd'")
    assert str(caught.value).endswith("\n  Not known either: even (line 3), prime (line 4)")
    assert notes(tmp_path, text, ignore_fields=["odd", "even", "prime"]) == [
        f"ignored the field {field}, as asked"
        for field in ("odd (line 3)", "even (line 3)", "prime (line 4)")
    ]


def test_of_several_sizes_to_resize_to_none_is_taken(tmp_path: Path) -> None:
    resize = "resize_param { resize_mode: WARP height: 8 width: 8 }"
    text = DATA.format("", f"{resize} {resize}").replace("crop_size: 4", "")
    notes(tmp_path, text + BODY)
    assert converters.load(tmp_path / "net.prototxt").meta["report"].inputs == {"data": "Nx2xdata_2xdata_3"}


def test_more_unknown_fields_than_any_definition_has_end_the_reading(tmp_path: Path) -> None:
    text = BODY.replace('top: "body"', 'top: "body" ' + "odd: 1\n" * 2_000) + "odd: 1\n" * 1_000
    with pytest.raises(
        converters.FormatError, match=r"1001: more than 1,000 fields .* odd \(line 1\): is this"
    ):
        notes(tmp_path, text)


def test_layers_of_both_forms_are_refused_also_with_unknown_fields(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    old = 'layers { name: "old" type: RELU bottom: "data" top: "old" }\n'
    path.write_text(DATA.format("", "") + BODY.replace("top:", "strange: 1 top:") + old)
    with pytest.raises(converters.FormatError, match="both 'layer' and 'layers' fields, which Caffe refuses"):
        converters.inspect(path)
    with pytest.raises(converters.UnsupportedError, match=r"unknown field 'strange' .* in layer 'body'"):
        converters.load(path)
