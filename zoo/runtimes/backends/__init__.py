"""The runtimes: one module each, named as `--runtime` takes it, with one class under `register_runtime`."""
