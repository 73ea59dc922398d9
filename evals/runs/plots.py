"""Figures of a run as pictures: SVG text that stands inside a page, without any file beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from vouchrec.evals.intervals import Interval
from vouchrec.evals.runs.figures import Figure
from vouchrec.evals.runs.measures import Curve, Measure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

__all__ = ["COLOURS", "available", "curve_plot", "gain_plot", "interval_plot"]

COLOURS = ("#2f5fd0", "#d1495b", "#2a9d8f", "#e9963e", "#7b5ea7", "#4c8577", "#b0578d", "#8a6d3b", "#5a6b7b", "#111827")
_BASE, _INK, _GRID = "#8b94a3", "#1f2937", "#e5e7eb"
_STYLE: dict[Any, Any] = {  # keys are matplotlib's own names
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlecolor": _INK,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "xtick.color": "#4b5563",
    "ytick.color": _INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "axes.grid": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "vouch",
}


def available() -> bool:
    """Tell whether pictures can be drawn: matplotlib is in the extras `train` and `dev`."""
    return find_spec("matplotlib") is not None


def interval_plot(figures: Sequence[Figure], methods: Sequence[str], measures: Sequence[Measure], baseline: str) -> str:
    """Draw each measure as a panel, each method as a dot with its interval; return the picture as a data URI.

    Args:
        figures: Of one group.
        methods: In the order of the report, first on top.
        measures: One panel each.
        baseline: Drawn in grey.
    """
    from matplotlib import rc_context

    columns = min(3, len(measures))
    lines = -(-len(measures) // columns)
    with rc_context(_STYLE):
        picture = _picture(3.4 * columns + 0.9, lines * (0.75 + 0.32 * len(methods)))
        axes = picture.subplots(lines, columns, squeeze=False, sharey=True)
        for number, measure in enumerate(measures):
            panel: Axes = axes[number // columns][number % columns]
            own = {f.method: f.interval for f in figures if f.measure.name == measure.name}
            _dots(panel, own, methods, baseline, measure, _colours(methods))
        for number in range(len(measures), lines * columns):
            axes[number // columns][number % columns].set_visible(False)
        return _data_uri(picture)


def gain_plot(figures: Sequence[Figure], methods: Sequence[str], measure: Measure) -> str:
    """Draw the paired differences of one measure to the baseline with their intervals; return the picture as a data URI."""
    from matplotlib import rc_context

    gains = {f.method: f.gain.interval for f in figures if f.measure.name == measure.name and f.gain is not None}
    shown = [m for m in methods if m in gains]
    with rc_context(_STYLE):
        picture = _picture(7.2, 0.85 + 0.34 * len(shown))
        panel = picture.subplots()
        panel.axvline(0, color=_INK, linewidth=1)
        _dots(panel, gains, shown, "", measure, _colours(methods))
        panel.set_title(f"{measure.label}: difference to the baseline, same cases")
        return _data_uri(picture)


def curve_plot(curve: Curve, figures: Sequence[Figure], methods: Sequence[str], baseline: str) -> str:
    """Draw a measure over something, with a band for the interval; return the picture as a data URI."""
    from matplotlib import rc_context

    values = {(f.method, f.measure.name): f.interval for f in figures}
    with rc_context({**_STYLE, "axes.spines.left": True}):
        picture = _picture(7.2, 3.6)
        panel = picture.subplots()
        for method, own in _colours(methods).items():
            points = [(x, values[method, name]) for x, name in curve.points if (method, name) in values]
            if not points:
                continue
            xs = [x for x, _ in points]
            colour = _BASE if method == baseline else own
            panel.plot(
                xs, [i.value for _, i in points], color=colour, linewidth=2, marker="o", markersize=4, label=method
            )
            panel.fill_between(xs, [i.low for _, i in points], [i.high for _, i in points], color=colour, alpha=0.12)
        panel.set(xlabel=curve.x, ylabel=curve.y, title=curve.title, xticks=[x for x, _ in curve.points])
        panel.set_ylim(bottom=0)
        panel.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        return _data_uri(picture)


def _dots(
    panel: Axes,
    own: Mapping[str, Interval],
    methods: Sequence[str],
    baseline: str,
    measure: Measure,
    colours: Mapping[str, str],
) -> None:
    scale = 100.0 if measure.percent else 1.0
    for place, method in enumerate(methods):
        found = own.get(method)
        if found is None:
            continue
        colour = _BASE if method == baseline else colours[method]
        panel.plot([found.low * scale, found.high * scale], [place, place], color=colour, linewidth=2.4, alpha=0.55)
        panel.plot([found.value * scale], [place], marker="o", markersize=6, color=colour)
    panel.set_yticks(range(len(methods)), labels=list(methods))
    panel.set_ylim(len(methods) - 0.4, -0.6)
    panel.grid(visible=False, axis="y")
    panel.set_title(measure.label + (" (%)" if measure.percent else ""))


def _colours(methods: Sequence[str]) -> dict[str, str]:
    """Return each method's colour, the same in every picture of a report."""
    return {method: COLOURS[place % len(COLOURS)] for place, method in enumerate(methods)}


def _picture(width: float, height: float) -> Picture:
    from matplotlib.figure import Figure as Drawing

    return Drawing(figsize=(width, height), layout="constrained")


def _data_uri(picture: Picture) -> str:
    buffer = io.BytesIO()
    picture.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
