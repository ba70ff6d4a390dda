"""The DSD model zoo: fetch, verify, convert, validate and audit published models.

Uses only the public API of `converters`. The command line is `dsd-zoo` (`zoo.cli`).
"""
