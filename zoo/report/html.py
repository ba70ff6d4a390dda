"""The report as one HTML file that needs nothing else.

`page.html.jinja` is the structure, `page.css` the style; `tables` and `interval_plot` fill the tables. The
page loads no script, font or image: it can be mailed, archived and opened offline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from converters import __version__, atomic_write
from zoo.claims.audit import AuditedModel
from zoo.claims.statistics import clopper_pearson_interval, wilson_interval
from zoo.files import cannot_write
from zoo.report import interval_plot, matrix, tables, words
from zoo.report.standing import gain_sentences
from zoo.vocabulary import METRIC_NAMES

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

    from zoo.evidence.run import Result
    from zoo.verification.parity import Parity


def write_page(path: Path, models: Sequence[AuditedModel], parity: Sequence[Parity] = ()) -> None:
    """Write the page, completely or not at all. UsageError if it cannot be written there."""
    text = render(models, parity)
    try:
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise cannot_write(path, "the page", error) from error


def render(models: Sequence[AuditedModel], parity: Sequence[Parity] = ()) -> str:
    """The page as text.

    models: in the order of the page.
    parity: the converted forms compared with the original frameworks, where that was checked.
    """
    environment = page_environment()
    audits = [model.audit for model in models]
    gains = [row for audit in audits for row in tables.gain_blocks(audit)]
    return environment.get_template("page.html.jinja").render(
        headline=words.headline(audits, parity),
        findings=[(audit, found) for audit in audits if (found := gain_sentences(audit))],
        problems=words.problems(audits, parity),
        overview=_overview(models),
        models=models,
        audits=audits,
        gains=gains,
        axis=interval_plot.axis_over(
            [line.value.interval for row in gains for line in row.lines if line.value is not None]
        ),
        pairs=[table for audit in audits for table in tables.pair_tables(audit)],
        conflicts=[(audit.model, conflict) for audit in audits for conflict in audit.conflicts],
        parity=parity,
        reproduce=list(
            dict.fromkeys(words.reproduction(result.command) for model in models for result in model.results)
        ),
        version=__version__,
    )


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
        "axis_head": interval_plot.axis_labels,
        "claim_blocks": tables.claim_blocks,
        "claimed": words.claimed,
        "derivation": words.derivation,
        "exact_intervals": _exact_intervals,
        "gain_strip": lambda gain, axis: interval_plot.draw(axis, "measured", gain.gain, gain.interval),
        "image_count": words.images,
        "link": _link,
        "metric": METRIC_NAMES.__getitem__,
        "p_value": words.p_value,
        "percent": words.percent,
        "percent_range": words.percent_range,
        "place": words.place,
        "points": words.points,
        "preparation_of": words.preparation_of,
        "points_range": words.points_range,
        "prose": _prose,
        "result_settings": matrix.result_settings,
        "runtime": words.runtime_label,
        "framework": words.FRAMEWORK_NAMES.__getitem__,
        "scientific": _scientific,
        "settings": _settings,
        "signed": words.signed,
        "strip": lambda line, axis: interval_plot.draw(axis, line.kind, line.value.gain, line.value.interval),
        "trust": words.trust,
        "typeset": words.typeset,
        "verdict": words.gain_verdict,
    }


def _overview(models: Sequence[AuditedModel]) -> str:
    results = [result for model in models for result in model.results]
    count = "1 model" if len(models) == 1 else f"{len(models)} models"
    if not results:
        return f"{count}, no runs at hand."
    days = sorted({result.started[:10] for result in results})
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    runs = "1 run" if len(results) == 1 else f"{len(results)} runs"
    return f"{count}, {runs} over {words.images(sum(result.n for result in results))} in all, {span}."


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
