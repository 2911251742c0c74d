"""`riskoverlay audit`: does a strategy read the future?"""

import argparse
import sys

from riskoverlay.errors import InputError

from ..audit import AuditResult, Candidate, audit, audit_summary
from ..workbench.allocations import config_summary
from ..workbench.outputs import write_json
from ..workbench.parameters import BLEND
from ..workbench.references import parse_reference
from .flags import Output, add_parameters, add_workers, config_of, panel_of, write_outputs
from .screen import Screen

__all__ = ["add_flags", "run"]

OUTPUTS = (Output("json", "every cut and finding"),)


def add_flags(command: argparse.ArgumentParser) -> None:
    """What can be given to the command."""
    add_parameters(command, OUTPUTS)
    group = command.add_argument_group("audit")
    group.add_argument(
        "--analyzer", metavar="FILE:CLASS[:KWARGS]", action="append", default=[], help="its analyzers, one a flag"
    )
    group.add_argument(
        "--cuts", type=int, default=50, metavar="N", help="sessions to change the future after (default 50)"
    )
    add_workers(group)


def run(options: argparse.Namespace, screen: Screen) -> int:
    """Run the command; 1: something was found.

    Parameters
    ----------
    options : argparse.Namespace
    screen : Screen
    """
    config = config_of(options, OUTPUTS)
    analyzers = tuple(parse_reference(text) for text in options.analyzer)
    if config["strategy"] is None and analyzers:
        raise InputError("--analyzer belongs to --strategy", "give one, or neither of them")
    panel = panel_of(options, config, screen)
    setup = Candidate(config, panel.rates, analyzers)
    with screen.progress("audit", min(max(options.cuts, 1), len(panel.sessions) - 1)) as advance:
        result = audit(setup, panel, cuts=options.cuts, workers=options.workers, advance=advance)
    if not result.orders and result.clean:
        raise InputError(
            f"no order was sent in {result.sessions} sessions", "give more history, there is nothing to audit"
        )
    screen.window(panel)
    _show(screen, result)
    print(result.traceback, end="", file=sys.stderr)
    ours = "RiskParityBlend" if config["weights"] == BLEND else f"Allocation of {config['weights']}"
    about = {"strategy": config["strategy"] or ours, "sizer": config["sizer"], "analyzers": options.analyzer}
    content = {**about, **audit_summary(result), **config_summary(config), "sha256": panel.sha256}
    write_outputs(options, screen, {"json": lambda path: write_json(path, content)})
    return 0 if result.clean else 1


def _show(screen: Screen, result: AuditResult) -> None:
    shown = result.cuts if len(result.cuts) <= 12 else [cut for cut in result.cuts if cut.finding][:12]
    if shown:
        rows = []
        for cut in shown:
            found = cut.finding
            verdict, text = ("clean", "") if found is None else (found.kind, f"{found.date}: {found.what}")
            rows.append([f"{cut.date}", str(cut.runs), verdict, text])
        titles = ["cut after", "runs", "verdict", "first difference"]
        screen.table(titles, rows, left=titles[2:], fold=True)
    wrong = sum(cut.finding is not None for cut in result.cuts)
    runs = sum(cut.runs for cut in result.cuts)
    screen.line(
        f"{result.orders:,} orders in {result.sessions:,} sessions; {len(result.cuts)} cuts, {runs:,} runs: "
        f"{len(result.cuts) - wrong} cuts clean, {wrong} not."
    )
    worst = [finding for finding in (result.first,) if finding is not None]
    beside = [finding for finding in result.findings if finding.kind not in ("look-ahead", "same bar")]
    for finding in (*worst, *beside):
        screen.line(f"{finding.kind}: {finding.sentence()}", style="red")
    if result.clean:
        screen.line("Nothing found.")
