"""The report of a backtest: one HTML file that needs nothing else."""

from .page import SweepStory, check_report, report_html, write_report

__all__ = ["SweepStory", "check_report", "report_html", "write_report"]
