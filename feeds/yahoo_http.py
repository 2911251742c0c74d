"""The HTTP session that yfinance talks through: it remembers what each symbol was answered, and never waits long.

An answer is bounded as it arrives, says what it is of, and comes from the server that was asked; or it is none.
"""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from curl_cffi import requests
from curl_cffi.curl import CURL_WRITEFUNC_ERROR
from curl_cffi.requests.exceptions import RequestException, Timeout

from .currencies import Identity

__all__ = ["MOST_BYTES", "YAHOO_URL", "Fault", "YahooSession"]

YAHOO_URL = "RISKOVERLAY_YAHOO_URL"
"""Environment variable: the address of a server that answers in Yahoo's place, http://host:port (a mirror, a gateway,
a test). Every request goes to it with Yahoo's path and query."""

MOST_BYTES = 16 * 2**20
"""Of one answer, decoded. All the days since 1927 are three megabytes; a compressed answer may become a thousand times
as large as what was sent."""

_MOST_PARTS = 100_000  # objects and lists in an answer: a day is a number in six lists, a dividend an object
_MOST_REDIRECTS = 5
_ELSEWHERE = "ask another server, or use offline with a filled cache"

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
    cure : str
        What to do about it, if that is not what is usual.
    """

    reason: str
    passing: bool
    silent: bool = False
    cure: str = ""


class _NoNumberError(ValueError):
    """A word that is no number."""


class _WrongAnswerError(RequestException):
    """An answer that is not one to what was asked."""


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
        self._identities: dict[str, Identity] = {}

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
            No answer, or one that is too large, is of something else, or comes from another server.
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
            answer = self._same_host(method, address, options) if symbol else self._bounded(method, address, options)
            if symbol and answer.status_code == 200:
                self._identify(symbol, answer.content)
        except _WrongAnswerError as error:
            if symbol:
                self._last[symbol] = error
            raise
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

    def _bounded(self, method: Any, address: str, options: dict[str, Any]) -> Any:
        """The parent's request, given up as soon as its body is too large: libcurl decodes it piece by piece."""
        pieces = bytearray()
        over = False

        def take(piece: bytes) -> int:
            nonlocal over
            over = len(pieces) + len(piece) > MOST_BYTES
            if over:
                return CURL_WRITEFUNC_ERROR
            pieces.extend(piece)
            return len(piece)

        try:
            answer = super().request(method, address, **options, content_callback=take)
        except RequestException as error:
            if over:
                raise _WrongAnswerError(f"an answer of more than {MOST_BYTES >> 20} MB") from error
            raise
        answer.content = bytes(pieces)
        return answer

    def _same_host(self, method: Any, address: str, options: dict[str, Any]) -> Any:
        """As `_bounded`, led on by the server that was asked, but to no other."""
        asked = urlsplit(address)
        options = {**options, "allow_redirects": False}
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._bounded(method, address, options)
            if answer.status_code not in (301, 302, 303, 307, 308) or "location" not in answer.headers:
                return answer
            address = urljoin(address, answer.headers["location"])
            there = urlsplit(address)
            if (there.scheme, there.netloc.lower()) != (asked.scheme, asked.netloc.lower()):
                raise _WrongAnswerError(f"led on to another server, {there.scheme}://{there.netloc}"[:120])
            options = {**options, "params": None}  # they are in the new address
        raise _WrongAnswerError(f"led on more than {_MOST_REDIRECTS} times")

    def _identify(self, symbol: str, body: bytes) -> None:
        """Remember what an answer with bars says it is of. What cannot be read is left to `fault`."""
        if body.count(b"[") + body.count(b"{") > _MOST_PARTS:
            raise _WrongAnswerError(f"an answer of more than {_MOST_PARTS:,} parts")
        try:
            (result, *_) = json.loads(body, parse_constant=_no_number)["chart"]["result"]
            meta = result["meta"]
            named = meta.get("symbol")
        except RecursionError:
            raise _WrongAnswerError("an answer that is nested too deeply") from None
        except _NoNumberError as error:
            raise _WrongAnswerError(f"an answer with {error} in it") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        if not isinstance(named, str) or named.upper() != symbol:
            what = f"the bars of {named[:40]!r}" if isinstance(named, str) else "bars that do not say of what"
            raise _WrongAnswerError(what)
        self._identities[symbol] = Identity.of(meta)

    def identity(self, symbol: str) -> Identity:
        """What the last answer about a symbol said it is.

        Parameters
        ----------
        symbol : str
            Upper case.

        Returns
        -------
        Identity
        """
        return self._identities.get(symbol, Identity())

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
        if isinstance(last, _WrongAnswerError):
            return Fault(str(last), passing=False, cure=_ELSEWHERE)
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
        except (ValueError, AttributeError, RecursionError):
            return Fault("unreadable answer", passing=True)
        if not said and _has_closes(chart):  # which yfinance has made nothing of
            return Fault("unreadable answer", passing=True)
        return Fault(str(said)[:200] if said else "an empty answer", passing=False)


def _no_number(text: str) -> float:
    """NaN and Infinity are no JSON, though Python reads them."""
    raise _NoNumberError(text)


def _has_closes(chart: dict[str, Any]) -> bool:
    """Whether an answer has something where closes are."""
    try:
        return any(value is not None for value in chart["result"][0]["indicators"]["quote"][0]["close"])
    except (KeyError, IndexError, TypeError):
        return False


def _symbol(path: str) -> str | None:
    """The symbol that a request for a chart is about."""
    match = re.search(r"/finance/chart/([^/]+)$", path)
    return unquote(match[1]).upper() if match else None


def _first_line(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return re.sub(r"^Failed to perform, |[.\s]*See https?://\S+.*", "", text)
