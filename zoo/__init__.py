"""The DSD model zoo: fetch, verify, convert, validate and audit published models.

Uses only the public API of `converters`. The command line is `dsd-zoo` (`zoo.cli`).
"""

import os

# ONNX Runtime would give the user a device id, keep it in the home folder, and report what it runs.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
