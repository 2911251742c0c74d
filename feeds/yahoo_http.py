"""The HTTP session that yfinance talks through: it remembers what each symbol was answered, and never waits long."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from curl_cffi import requests
from curl_cffi.requests.exceptions import RequestException, Timeout

__all__ = ["YAHOO_URL", "Fault", "YahooSession"]

YAHOO_URL = "RISKOVERLAY_YAHOO_URL"
"""Environment variable: the address of a server that answers in Yahoo's place, http://host:port (a mirror, a gateway,
a test). Every request goes to it with Yahoo's path and query."""

_SILENT = 2  # requests in a row without an answer, or answered with "too many", after which a host is not asked on
_UNREACHABLE = (5, 6, 7)  # curl's codes for no proxy, no address and no connection: one is enough


@dataclass(frozen=True)
class Fault:
    """Why a symbol has no bars.

    Attributes
    ----------
    reason : str
    passing : bool
        A later attempt may succeed: too many requests, the server's errors, the network.
    silent : bool
        There was no answer at all.
    """

    reason: str
    passing: bool
    silent: bool = False


class YahooSession(requests.Session):  # type: ignore[type-arg]  # no generic in older versions
    """A session as yfinance makes its own, for one attempt at some symbols.

    Parameters
    ----------
    timeout : float
        Seconds for any one request, instead of the 10 and 30 that yfinance asks for.
    answered : callable, optional
        Called with the symbol when its bars have come.
    """

    def __init__(self, timeout: float, answered: Callable[[str], None] | None = None) -> None:
        super().__init__(impersonate="chrome")
        self._limit = timeout
        self._answered = answered
        self._instead = os.environ.get(YAHOO_URL, "").rstrip("/")
        self._unanswered: dict[str, list[RequestException]] = {}
        self._refused: list[Any] = []
        self._last: dict[str, Any] = {}

    def request(self, method: Any, url: str, **options: Any) -> Any:  # type: ignore[override]
        """As the parent's; `get` and `post` come through here.

        Parameters
        ----------
        method, url, **options
            As the parent's.

        Returns
        -------
        Response

        Raises
        ------
        RequestException
            No answer.
        """
        parts = urlsplit(url)
        host, symbol = parts.netloc, _symbol(parts.path)
        if symbol and len(self._refused) >= _SILENT:  # asking on would only prolong the ban
            self._last[symbol] = self._refused[-1]
            return self._refused[-1]
        try:
            before = self._unanswered.setdefault(host, [])
            if len(before) >= _SILENT or (before and before[-1].code in _UNREACHABLE):
                raise before[-1]  # or each of many symbols would wait for its own timeout
            options["timeout"] = self._limit
            address = url.replace(f"{parts.scheme}://{host}", self._instead, 1) if self._instead else url
            answer = super().request(method, address, **options)
        except RequestException as error:
            before.append(error)
            if symbol:
                self._last[symbol] = error
            raise
        before.clear()
        if symbol:
            self._last[symbol] = answer
            self._refused = [*self._refused, answer] if answer.status_code == 429 else []
            wanted = options.get("params") or {}
            if self._answered is not None and answer.status_code == 200 and "period1" in wanted:
                self._answered(symbol)
        return answer

    def fault(self, symbol: str) -> Fault:
        """Why the last answer about a symbol gave no bars.

        Parameters
        ----------
        symbol : str
            Upper case.

        Returns
        -------
        Fault
        """
        last = self._last.get(symbol)
        if last is None:
            return Fault("no answer", passing=True, silent=True)
        if isinstance(last, Timeout):
            return Fault(f"no answer in {self._limit:g} seconds", passing=True, silent=True)
        if isinstance(last, RequestException):
            return Fault(f"no connection: {_first_line(last)}", passing=True, silent=last.code in _UNREACHABLE)
        status = last.status_code
        if status == 429:
            return Fault("HTTP 429, too many requests", passing=True)
        if status in (401, 403, 407) or status >= 500:
            return Fault(f"HTTP {status}", passing=True)
        try:
            chart = json.loads(last.content).get("chart") or {}
            said = (chart.get("error") or {}).get("description") if isinstance(chart, dict) else None
        except (ValueError, AttributeError):
            return Fault("unreadable answer", passing=True)
        return Fault(str(said) if said else "an empty answer", passing=False)


def _symbol(path: str) -> str | None:
    """The symbol that a request for a chart is about."""
    match = re.search(r"/finance/chart/([^/]+)$", path)
    return unquote(match[1]).upper() if match else None


def _first_line(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return re.sub(r"^Failed to perform, |[.\s]*See https?://\S+.*", "", text)
