"""A citation in words as BibTeX."""

from __future__ import annotations

import re

# "A. Author, B. Author: Title, Where 2016": authors have no colon, the year is the last number.
CITATION = re.compile(
    r"(?P<authors>[^:]+): (?P<title>.+), (?P<where>[^,]+(?:, [^,]+)??)[ ,]+(?P<year>[12]\d{3})\)?"
)
SPECIAL = {"\\": r"\textbackslash{}", **{character: f"\\{character}" for character in "&%$#_{}"}}


def bibtex(citation: str, key: str, url: str | None = None) -> str:
    """An entry; of words that are not of the usual form it keeps all in a note.

    key: of the entry. url: where the work is found.
    """
    found = CITATION.fullmatch(citation.strip())
    if found is None:
        fields = {"note": _escaped(citation.strip())}
    else:
        where = found["where"].strip()
        place = "eprint" if where.startswith("arXiv:") else "booktitle"
        fields = {
            "author": " and ".join(_escaped(name) for name in found["authors"].split(", ")),
            "title": f"{{{_escaped(found['title'])}}}",
            place: _escaped(where.removeprefix("arXiv:")),
            "year": found["year"],
        }
    if url is not None:
        fields["url"] = url
    kind = "inproceedings" if "booktitle" in fields else "misc"
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


def _escaped(text: str) -> str:
    return "".join(SPECIAL.get(character, character) for character in " ".join(text.split()))
