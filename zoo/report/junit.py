"""JUnit XML, which every CI service reads: one test case per check."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from zoo.evidence.run import Result
from zoo.report.checks import Check


def junit(result: Result, checks: Sequence[Check]) -> str:
    """The checks of a run as one test suite, named after the net and where it ran."""
    name = _printable(f"{result.model} {result.runtime} {result.device}")
    suite = ElementTree.Element(
        "testsuite",
        name=name,
        tests=str(len(checks)),
        failures=str(sum(check.outcome == "failed" for check in checks)),
        errors="0",
        skipped=str(sum(check.outcome == "skipped" for check in checks)),
        time=str(result.seconds),
        timestamp=result.started,
    )
    for check in checks:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"{name}.{check.group}", name=_printable(check.name)
        )
        detail = _printable(check.detail)
        if check.outcome == "failed":
            ElementTree.SubElement(case, "failure", message=detail).text = detail
        elif check.outcome == "skipped":
            ElementTree.SubElement(case, "skipped", message=detail)
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    # As bytes first: text would be declared to be in the encoding of the locale.
    encoded: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return encoded.decode() + "\n"


def _printable(text: str) -> str:
    """Without the characters that XML cannot hold, such as odd bytes in the name of an image."""
    return "".join(c if c in "\t\n" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
