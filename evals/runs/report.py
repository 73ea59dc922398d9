"""A run as reports: `report.md` for a file in a repository, `report.html` for reading, self-contained."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

from vouchrec.evals.runs import plots
from vouchrec.evals.runs.figures import Figure, figures
from vouchrec.evals.runs.measures import Row
from vouchrec.evals.runs.records import Manifest
from vouchrec.evals.runs.tables import Cell, Table, conditions, details, duration, summary, verdicts

__all__ = ["markdown", "page", "write_reports"]

_HOW_TO_READ = (
    "Figures are means (or ratios of sums) over cases with 95% bootstrap intervals, shares with Wilson's; cases are people or "
    "conversations, drawn whole. Differences to the baseline are over the same cases: ▲ better and ▼ worse are marked where the "
    "interval excludes 0 and the p-value of a randomisation test, corrected for the number of comparisons (Holm), is below .05."
)
_NO_PLOTS = "Pictures need matplotlib: pip install 'vouchrec[train]', then run the same command again."


def write_reports(folder: Path, manifest: Manifest, rows: Sequence[Row]) -> list[Figure]:
    """Write `report.md` and `report.html` into a run's folder and return the figures that they show."""
    found = figures(manifest, rows)
    for name, text in (("report.md", markdown(manifest, found)), ("report.html", page(manifest, found))):
        temporary = folder / f"{name}.tmp"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(folder / name)
    return found


# ---- Markdown -----------------------------------------------------------------------------------------------------


def markdown(manifest: Manifest, found: Sequence[Figure]) -> str:
    """Return the figures as Markdown tables under the conditions of the run."""
    lines = [f"# {manifest.title}", "", manifest.about, ""]
    lines += [", ".join(f"{name} `{value}`" for name, value in conditions(manifest)) + ".", ""]
    for group, own in _by_group(found):
        lines += [f"## {group}", ""] if group else []
        if len(manifest.methods) > 1:
            lines += [*_markdown_table(summary(manifest, own)), "", *verdicts(manifest, own), ""]
        lines += [*_markdown_table(details(manifest, own)), ""]
    lines += [_HOW_TO_READ]
    return "\n".join(lines) + "\n"


def _markdown_table(table: Table) -> list[str]:
    head = [table.corner, *table.columns]
    lines = [_markdown_row(head), _markdown_row(["---", *["---:"] * len(table.columns)])]
    return lines + [_markdown_row([name, *map(_markdown_cell, cells)]) for name, cells in table.rows]


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _markdown_cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    value = f"**{cell.value}**" if "best" in cell.mark else cell.value
    arrow = " ▲" if "up" in cell.mark else " ▼" if "down" in cell.mark else ""
    return f"{value} {cell.interval}{arrow}"


# ---- the page -----------------------------------------------------------------------------------------------------


def page(manifest: Manifest, found: Sequence[Figure]) -> str:
    """Return the report as one HTML page without anything beside it; every text is escaped."""
    template = Template(files("vouchrec.evals.runs").joinpath("report.html.tmpl").read_text(encoding="utf-8"))
    groups = list(_by_group(found))
    sections = "\n".join(_section(manifest, group, own) for group, own in groups)
    facts = {"protocol": manifest.protocol, "settings": manifest.settings, "facts": manifest.facts}
    return template.substitute(
        title=html.escape(manifest.title),
        about=html.escape(manifest.about),
        chips="".join(_chip(name, value) for name, value in conditions(manifest)[:-1]),
        sections=sections or "<p>There are no figures: no case could be measured.</p>",
        note="" if plots.available() else f'<p class="note">{html.escape(_NO_PLOTS)}</p>',
        how=html.escape(_HOW_TO_READ),
        record=html.escape(json.dumps(facts, indent=1, ensure_ascii=False)),
        versions=html.escape(f"{conditions(manifest)[-1][1]}; {json.dumps(manifest.machine)}"),
    )


def _section(manifest: Manifest, group: str, own: Sequence[Figure]) -> str:
    parts = [f"<h2>{html.escape(group)}</h2>" if group else ""]
    cases = max((figure.cases for figure in own), default=0)
    fits = manifest.facts.get("fit_seconds")
    times = ", ".join(f"{name} {duration(float(str(s)))}" for name, s in fits.items()) if isinstance(fits, dict) else ""
    parts.append(
        f'<p class="cases">{cases} cases.{html.escape(f" Time of fits, all groups together: {times}.") if times else ""}</p>'
    )
    if len(manifest.methods) > 1:
        parts += [_html_table(summary(manifest, own)), *(_sentences(verdicts(manifest, own)))]
    else:
        parts += [_cards(own)]
    parts += _pictures(manifest, own)
    opened = " open" if len(manifest.methods) == 1 else ""
    parts.append(f"<details{opened}><summary>All measures</summary>{_html_table(details(manifest, own))}</details>")
    return "<section>" + "\n".join(part for part in parts if part) + "</section>"


def _sentences(found: Sequence[str]) -> list[str]:
    return ["<ul class='verdicts'>" + "".join(f"<li>{html.escape(s)}</li>" for s in found) + "</ul>"] if found else []


def _cards(own: Sequence[Figure]) -> str:
    """Show the main measures of a single method large."""
    cards = [
        f"<div class='card'><div class='value'>{html.escape(f.measure.text(f.interval.value))}</div>"
        f"<div class='label'>{html.escape(f.measure.label)}</div><div class='interval'>"
        f"{html.escape(f.measure.text(f.interval.low))} to {html.escape(f.measure.text(f.interval.high))}</div></div>"
        for f in own
        if f.measure.main
    ]
    return f"<div class='cards'>{''.join(cards)}</div>" if cards else ""


def _pictures(manifest: Manifest, own: Sequence[Figure]) -> list[str]:
    if not plots.available():
        return []
    methods = [m for m in manifest.methods if any(f.method == m for f in own)]
    main = [m for m in manifest.measures if m.main and any(f.measure.name == m.name for f in own)]
    found: list[tuple[str, str]] = []
    if len(methods) > 1 and main:
        found.append(("Main measures with their intervals", plots.interval_plot(own, methods, main, manifest.baseline)))
        gains = next((m for m in main if any(f.gain and f.measure.name == m.name for f in own)), None)
        if gains is not None:
            found.append((f"Differences in {gains.label}", plots.gain_plot(own, methods, gains)))
    drawn = [c for c in manifest.curves if any(f.measure.name == name for f in own for _, name in c.points)]
    found += [(curve.title, plots.curve_plot(curve, own, methods, manifest.baseline)) for curve in drawn]
    return [f'<figure><img alt="{html.escape(alt)}" src="{uri}"></figure>' for alt, uri in found]


def _html_table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in (table.corner, *table.columns))
    body = "".join(
        f"<tr><th>{html.escape(name)}</th>{''.join(map(_html_cell, cells))}</tr>" for name, cells in table.rows
    )
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _html_cell(cell: Cell | None) -> str:
    if cell is None:
        return "<td class='none'>–</td>"
    value, interval = html.escape(cell.value), html.escape(cell.interval)
    return f"<td class='{cell.mark}'><span class='v'>{value}</span><span class='i'>{interval}</span></td>"


def _chip(name: str, value: str) -> str:
    return f"<span class='chip'><b>{html.escape(name)}</b> {html.escape(value)}</span>"


def _by_group(found: Sequence[Figure]) -> list[tuple[str, list[Figure]]]:
    return [(group, [f for f in found if f.group == group]) for group in dict.fromkeys(f.group for f in found)]
