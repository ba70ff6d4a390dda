"""A run as JUnit XML, which every CI service reads."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from zoo.evidence.run import Result
from zoo.report.cases import TestCase


def junit(result: Result, cases: Sequence[TestCase]) -> str:
    """The test cases of a run as one test suite, named after the net, the runtime and the device."""
    return junit_of_runs([(result, cases)])


def junit_of_runs(runs: Sequence[tuple[Result, Sequence[TestCase]]]) -> str:
    """A test suite for each run, as `junit` has it."""
    suites = ElementTree.Element("testsuites")
    suites.extend([_suite(result, cases) for result, cases in runs])
    ElementTree.indent(suites)
    # With encoding="unicode" the XML declaration would name the encoding of the locale.
    encoded: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return encoded.decode() + "\n"


def _suite(result: Result, cases: Sequence[TestCase]) -> ElementTree.Element:
    name = _printable(f"{result.model} {result.runtime} {result.device}")
    suite = ElementTree.Element(
        "testsuite",
        name=name,
        tests=str(len(cases)),
        failures=str(sum(case.outcome == "failed" for case in cases)),
        errors="0",
        skipped=str(sum(case.outcome == "skipped" for case in cases)),
        time=str(result.seconds),
        timestamp=result.started,
    )
    for case in cases:
        element = ElementTree.SubElement(
            suite, "testcase", classname=f"{name}.{case.group}", name=_printable(case.name)
        )
        detail = _printable(case.detail)
        if case.outcome == "failed":
            ElementTree.SubElement(element, "failure", message=detail).text = detail
        elif case.outcome == "skipped":
            ElementTree.SubElement(element, "skipped", message=detail)
    return suite


def _printable(text: str) -> str:
    """The text with a replacement for each character that XML cannot hold; names of images may have some."""
    return "".join(c if c in "\t\n" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
