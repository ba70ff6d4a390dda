"""What the docstring of a net.py that `convert` wrote says of its preprocessing. The file is not run."""

from __future__ import annotations

import ast
import json
import re
import tokenize
from pathlib import Path
from typing import Any

TITLE = "Preprocessing, as the source describes it:"
# The docstring stands first; one of this size has thousands of sources.
MAX_CHARACTERS = 1 << 20
SETTING = re.compile(r"    ([a-z_]+): (.*)")


def preprocessing_in_docstring(path: Path) -> dict[str, Any] | None:
    """The settings by name; None if the file has no such docstring, or is no Python."""
    lines = iter((_docstring(path) or "").splitlines())
    if TITLE not in lines:  # leaves the lines after it
        return None
    texts: dict[str, str] = {}
    name = ""
    for line in lines:
        if not line.startswith("    "):
            break
        if (found := SETTING.fullmatch(line)) is not None:
            name = found[1]
            texts[name] = found[2]
        elif name:
            texts[name] += f" {line.strip()}"
    try:
        return {name: json.loads(text) for name, text in texts.items()}
    except ValueError:
        return None


def _docstring(path: Path) -> str | None:
    try:
        with tokenize.open(path) as file:
            text = file.read(MAX_CHARACTERS)
        lines = iter(text.splitlines(keepends=True))
        for token in tokenize.generate_tokens(lambda: next(lines, "")):
            if token.type == tokenize.STRING:
                value = ast.literal_eval(token.string)
                return value if isinstance(value, str) else None
            if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE):
                return None
    except (SyntaxError, UnicodeDecodeError, ValueError, tokenize.TokenError):
        pass
    return None
