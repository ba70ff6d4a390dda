"""For each command arguments with which it succeeds, and with which it fails."""

from __future__ import annotations

from zoo.bundled import bundled_folder

DIGITS = bundled_folder() / "digits"
NET = [DIGITS / "caffe" / "deploy.prototxt", DIGITS / "caffe" / "dsd.caffemodel"]
IMAGES = DIGITS / "images" / "test_images.tar"
READS = ["--flavour", "caffe-warp36", "--crop", "32", "--mean", "127,127,127", "--scale", "0.0078125"]

# For each command arguments with which it succeeds, in the folder that `workplace` makes.
SUCCESS: dict[str, list[object]] = {
    "add": ["tiny", "own/source.caffemodel", "--manifests", "own"],
    "audit": ["digits-caffe-dsd"],
    "bench": ["digits-caffe-dsd", "--runtime", "onnx", "--seconds", "0.1"],
    "compare": [f"{NET[0]},{NET[1]}", f"{NET[0]},{NET[1]}"],
    "convert": [*NET, "-o", "net.onnx"],
    "demo": ["-o", "page.html"],
    "doctor": [],
    "export-cache": ["export", "tiny", "--manifests", "own"],
    "fetch": ["tiny", "--manifests", "own"],
    "import-cache": ["export", "--manifests", "own"],
    "inspect": NET,
    "list": [],
    "pack": ["--data", IMAGES, "-o", "packed", "--flavour", "caffe-warp36"],
    "predict": ["digits-caffe-dsd", "picture.png"],
    "publish": ["digits-caffe-dsd", "-o", "published"],
    "report": ["runs", "-o", "page.html"],
    "rescue": ["program.py"],
    "schema": ["result"],
    "show": ["digits-caffe-dsd"],
    "train": ["digits", "--recipe", "short.toml"],
    "validate": ["digits-caffe-dsd", "--limit", "20"],
    "verify": ["digits-caffe-dsd", NET[1]],
}
# Those that take long are tested for failure here, and for success where their own tests are.
ELSEWHERE = {"demo", "train", "rescue", "report", "predict", "publish"}
# Arguments with which each fails.
FAILURE: dict[str, list[object]] = {
    "add": ["tiny", "nowhere", "--manifests", "own"],
    "bench": ["nothing"],
    "compare": ["nothing", "nothing"],
    "convert": ["nothing", "-o", "net.onnx"],
    "demo": ["-o", "nowhere/page.html"],
    "doctor": ["more"],
    "export-cache": ["export", "nothing"],
    "import-cache": ["nowhere"],
    "list": ["--task", "nothing"],
    "pack": ["--data", "nowhere", "-o", "packed"],
    "publish": ["nothing", "-o", "published"],
    "report": ["nowhere"],
    "rescue": ["nowhere.py"],
    "schema": ["nothing"],
    "train": ["nothing", "--recipe", "digits"],
}
