"""The templates of the pages and the filters that they use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.claims.statistics import clopper_pearson_interval, wilson_interval
from zoo.report import interval_plot, matrix, weight_histogram, words
from zoo.vocabulary import METRIC_NAMES

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

    from zoo.evidence.run import Result


def page_environment() -> Environment:
    """The templates of this folder with the filters that they use."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_filters())
    return environment


def _filters() -> dict[str, Callable[..., object]]:
    return {
        "accuracy_interval": lambda result, metric: wilson_interval(result.correct(metric), result.n),
        "accuracy_strip": lambda line, axis: interval_plot.draw_accuracy(
            axis, line.claimed_share, line.share, line.interval
        ),
        "anchor": _anchor,
        "axis_head": interval_plot.axis_labels,
        "class_strip": lambda gain, most: interval_plot.draw_bar(gain, most),
        "claimed": words.claimed,
        "derivation": words.derivation,
        "exact_intervals": _exact_intervals,
        "gain_strip": lambda gain, axis: interval_plot.draw(axis, "measured", gain.gain, gain.interval),
        "histogram": lambda found, pair: weight_histogram.draw_histograms(found, pair.model, pair.baseline),
        "image_count": words.images,
        "link": _link,
        "metric": METRIC_NAMES.__getitem__,
        "p_value": words.p_value,
        "percent": words.percent,
        "percent_range": words.percent_range,
        "points": words.points,
        "preparation_of": words.preparation_of,
        "points_range": words.points_range,
        "prose": _prose,
        "result_settings": matrix.result_settings,
        "runtime": words.runtime_label,
        "scientific": _scientific,
        "settings": _settings,
        "signed": words.signed,
        "strip": lambda line, axis: interval_plot.draw(axis, line.kind, line.value.gain, line.value.interval),
        "typeset": words.typeset,
        "verdict": words.gain_verdict,
    }


def _anchor(name: str) -> str:
    """The name as an id of the page, which has no blanks."""
    return "-".join(name.split())


def _exact_intervals(result: Result) -> str:
    return "; ".join(
        f"{name} {words.percent_range(clopper_pearson_interval(correct, result.n))}"
        for name, correct in (("top-1", result.top1_correct), ("top-5", result.top5_correct))
    )


def _settings(values: Mapping[str, object]) -> str:
    said = ((name, value) for name, value in values.items() if value is not None and value is not False)
    return ", ".join(f"{name} {value}" for name, value in said)


def _prose(text: str) -> Markup:
    """The text as HTML; parts between backticks become code."""
    from markupsafe import Markup, escape

    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup().join(
        Markup("<code>{}</code>").format(part) if k % 2 else escape(part) for k, part in enumerate(parts)
    )


def _scientific(value: float) -> Markup:
    from markupsafe import Markup

    mantissa, exponent = f"{value:.1e}".split("e")
    return Markup("{}&thinsp;×&thinsp;10<sup>{}</sup>").format(mantissa, words.typeset(f"{int(exponent)}"))


def _link(source: str) -> str | Markup:
    from markupsafe import Markup

    if not source.startswith(("https://", "http://")):
        return source
    return Markup('<a href="{0}">{0}</a>').format(source)
