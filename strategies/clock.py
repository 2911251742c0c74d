"""Stub: merged from the branch of sessions."""

from typing import Any

import backtrader as bt

from .schedule import STALE_DAYS

__all__ = ["ended"]

_PERIOD_DAYS = {bt.TimeFrame.Weeks: 7, bt.TimeFrame.Months: 31, bt.TimeFrame.Years: 366}


def ended(data: Any, number: float) -> bool:
    period = _PERIOD_DAYS.get(data._timeframe, 0) * data._compression
    return bool(number - data.datetime[0] > STALE_DAYS + period)
