"""A run as JUnit XML, which every CI service reads."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from zoo.evidence.run import Result
from zoo.report.cases import TestCase, error_case


def junit(result: Result, cases: Sequence[TestCase]) -> str:
    """The test cases of a run as one test suite, named after the net, the runtime and the device."""
    return junit_of_runs([(result, cases)])


def junit_of_runs(runs: Sequence[tuple[Result, Sequence[TestCase]]]) -> str:
    """A test suite for each run, as `junit` has it."""
    return _document([_suite(result, cases) for result, cases in runs])


def junit_of_error(nets: Sequence[str], error: str) -> str:
    """A test suite for each net, of a pass that an error ended before there was a result."""
    return _document([_suite_of(net, [error_case(error)]) for net in nets])


def _document(suites: Sequence[ElementTree.Element]) -> str:
    root = ElementTree.Element("testsuites")
    root.extend(suites)
    ElementTree.indent(root)
    # With encoding="unicode" the XML declaration would name the encoding of the locale.
    encoded: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return encoded.decode() + "\n"


def _suite(result: Result, cases: Sequence[TestCase]) -> ElementTree.Element:
    name = f"{result.model} {result.runtime} {result.device}"
    return _suite_of(name, cases, time=str(result.seconds), timestamp=result.started)


def _suite_of(title: str, cases: Sequence[TestCase], **attributes: str) -> ElementTree.Element:
    name = _printable(title)
    suite = ElementTree.Element(
        "testsuite",
        {
            "name": name,
            "tests": str(len(cases)),
            "failures": str(sum(case.outcome == "failed" for case in cases)),
            "errors": str(sum(case.outcome == "error" for case in cases)),
            "skipped": str(sum(case.outcome == "skipped" for case in cases)),
            **attributes,
        },
    )
    for case in cases:
        element = ElementTree.SubElement(
            suite, "testcase", classname=f"{name}.{case.group}", name=_printable(case.name)
        )
        detail = _printable(case.detail)
        if case.outcome == "failed":
            ElementTree.SubElement(element, "failure", message=detail).text = detail
        elif case.outcome == "error":
            ElementTree.SubElement(element, "error", message=detail).text = detail
        elif case.outcome == "skipped":
            ElementTree.SubElement(element, "skipped", message=detail)
    return suite


def _printable(text: str) -> str:
    """The text with a replacement for each character that XML cannot hold; names of images may have some."""
    return "".join(c if c in "\t\n" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
