"""The Python API on the embedded models: what the commands do, as functions, without network."""

from __future__ import annotations

import subprocess
import sys

import pytest

import zoo
from converters import FormatError
from zoo.bundled import bundled_folder
from zoo.cli.command import all_commands
from zoo.errors import FetchError, UsageError
from zoo.evidence.run import read_run

DIGITS = bundled_folder() / "digits"
MODEL = "digits-caffe-dsd"
FILES = [DIGITS / "caffe" / "train_val.prototxt", DIGITS / "caffe" / "dsd.caffemodel"]
IMAGES = DIGITS / "images" / "test_images.tar"


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty cache, and nothing printed."""
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def silence(capsys):
    yield
    assert capsys.readouterr() == ("", "")


def test_import_zoo_loads_nothing_heavy():
    heavy = {
        "cv2",
        "numpy",
        "onnx",
        "onnx_ir",
        "onnxruntime",
        "pydantic",
        "requests",
        "rich",
        "torch",
        "typer",
    }
    loaded = f"{heavy} & set(sys.modules), [name for name in sys.modules if 'zoo' in name]"
    code = f"import sys, zoo; dir(zoo); print({loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set() ['zoo']\n"


def test_every_name_is_a_function_with_types_and_a_docstring():
    assert set(zoo.__all__) == {
        "audit", "convert", "evaluate", "evaluate_together", "fetch", "load_catalog", "paired_gains",
        "verify",
    }  # fmt: skip
    for name in zoo.__all__:
        function = getattr(zoo, name)
        assert "return" in function.__annotations__
        assert "Raises:" in function.__doc__
    with pytest.raises(AttributeError, match="module 'zoo' has no attribute 'validate'"):
        _ = zoo.validate


def test_a_name_stays_a_function_when_all_modules_are_loaded():
    """A package of the same name would take its place as soon as it is imported."""
    all_commands()
    for _ in range(2):
        assert all(check.ok for check in zoo.verify(MODEL))
    assert all(callable(getattr(zoo, name)) for name in zoo.__all__)


def test_the_catalog_has_the_models_of_the_zoo_and_of_ones_own_folders(tmp_path):
    catalog = zoo.load_catalog()
    assert MODEL in catalog
    text = (bundled_folder() / "squeezenet-v1.0.toml").read_text(encoding="utf-8")
    (tmp_path / "own.toml").write_text(text.replace('"squeezenet-v1.0"', '"own"', 1), encoding="utf-8")
    assert set(zoo.load_catalog([tmp_path]).names()) == {*catalog.names(), "own"}


def test_fetch_returns_where_each_file_lies():
    manifest = zoo.load_catalog().get(MODEL)
    fetched = zoo.fetch(manifest, offline=True)
    assert [found.path.name for found in fetched] == [
        (file.path or file.name).rpartition("/")[2] for file in manifest.files
    ]
    with pytest.raises(FetchError):
        zoo.fetch("squeezenet-dsd", offline=True)
    with pytest.raises(UsageError, match="did you mean digits-caffe-ds"):
        zoo.fetch("digits-caffe-dst")


def test_verify_returns_the_checks():
    checks = zoo.verify(zoo.load_catalog().get(MODEL))
    assert {check.kind for check in checks} == {"integrity", "structure", "parity"}
    assert all(check.ok for check in checks)


@pytest.mark.parametrize("what", [MODEL, FILES, [str(path) for path in FILES]])
def test_convert_takes_models_and_files(what, tmp_path):
    report = zoo.convert(what, tmp_path / "net", outputs=["ip2"], static_batch=2)
    assert sorted(path.name for path in report.files) == ["net.onnx", "net.py", "net.safetensors"]
    assert list(report.outputs) == ["ip2"]
    (tmp_path / "empty.t7").touch()
    with pytest.raises(FormatError):
        zoo.convert(tmp_path / "empty.t7", tmp_path / "net.onnx")


@pytest.mark.parametrize("runtime", ["onnx", "pytorch"])
def test_evaluate_counts_what_caffe_counted(runtime):
    run = zoo.evaluate(MODEL, runtime=runtime)
    assert (run.result.model, run.result.n, run.result.top1_correct) == (MODEL, 500, 492)
    assert len(run.rows) == 500


def test_evaluate_takes_files_and_writes_only_where_it_is_asked_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steps = []
    options = {"flavour": "caffe-warp36", "limit": 20, "batch_size": 8}
    run = zoo.evaluate(FILES, IMAGES, **options, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(8, 20), (16, 20), (20, 20)]
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("cache", "lock.json")] == []
    written = zoo.evaluate(FILES, IMAGES, **options, out="out", mean=[127, 127, 127])
    assert written.rows == run.rows
    assert read_run(tmp_path / "out").rows == run.rows
    with pytest.raises(UsageError, match="say where the images are"):
        zoo.evaluate(FILES, flavour="caffe-warp36")


def test_audit_holds_claims_against_runs(tmp_path):
    assert [claim.verdict for claim in zoo.audit(MODEL).claims] == ["not measured", "not measured"]
    run = zoo.evaluate(MODEL, out=tmp_path / "run")
    for runs in ([run], tmp_path):
        audit = zoo.audit(MODEL, runs)
        assert audit.holds
        assert [claim.verdict for claim in audit.claims] == ["agrees", "agrees"]


def test_several_nets_in_one_pass_and_their_gains(tmp_path):
    names = ["digits-caffe-dsd", "digits-caffe-baseline"]
    options = {"limit": 60, "sensitivity": True}
    runs = zoo.evaluate_together(names, **options, out=tmp_path / "out")
    assert list(runs) == names
    alone = zoo.evaluate(names[1], limit=60)
    assert runs[names[1]][0].rows == alone.rows
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    matrix = zoo.paired_gains(runs[names[0]], runs[names[1]])
    assert [row.flavour for row in matrix.rows] == [run.result.flavour for run in runs[names[0]]]
    assert len(matrix.rows) == 4
    assert [of_net[0].rows for of_net in zoo.evaluate_together(names, limit=60).values()] == [
        of_net[0].rows for of_net in runs.values()
    ]
    with pytest.raises(UsageError, match="no nets given"):
        zoo.evaluate_together([])
    with pytest.raises(UsageError, match="two nets are called"):
        zoo.evaluate_together([names[0], names[0]])


def test_evaluate_refuses_a_net_for_another_task_before_its_files_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match="mtcnn-o cannot be counted: it is a net for face detection"):
        zoo.evaluate("mtcnn-o", tmp_path)
