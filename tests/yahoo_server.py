"""A server on the loopback interface that answers as Yahoo does: cookie, crumb, chart JSON; and as it fails."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import exchange_calendars
import numpy as np
import pandas as pd
import pytest

COOKIE, CRUMB = "A3=loopback", "crumb.of.loopback"

STALL = 30.0
"""Seconds a stalled answer takes: longer than any timeout that a test sets."""


def bars(first: str = "2024-01-02", last: str = "2024-06-28", seed: int = 1, price: float = 100.0) -> pd.DataFrame:
    """Raw bars on XNYS sessions as Yahoo would serve them: open high low close volume adj_close dividend split."""
    sessions = exchange_calendars.get_calendar("XNYS", start="2020-01-01", end="2027-12-31").sessions
    sessions = sessions[(sessions >= first) & (sessions <= last)]
    random = np.random.default_rng(seed)
    n = len(sessions)
    close = price * np.exp(np.cumsum(random.normal(0.0, 0.01, n)))
    opened = np.r_[price, close[:-1]] * np.exp(random.normal(0.0, 0.003, n))
    table = pd.DataFrame(
        {
            "open": opened,
            "high": np.maximum(opened, close) * (1 + random.uniform(0, 0.005, n)),
            "low": np.minimum(opened, close) * (1 - random.uniform(0, 0.005, n)),
            "close": close,
            "volume": random.integers(1_000_000, 5_000_000, n).astype(float),
        },
        index=pd.DatetimeIndex(sessions.to_numpy(), name="date"),
    ).round(6)
    return adjusted(table.assign(dividend=0.0, split=0.0))


def adjusted(raw: pd.DataFrame) -> pd.DataFrame:
    """`raw` with the adj_close that its dividends make: closes before an ex-date times 1 - dividend/close before."""
    close, paid = raw["close"].to_numpy(), raw["dividend"].to_numpy()
    factor = np.ones(len(raw))
    for t in range(len(raw) - 1, 0, -1):
        factor[t - 1] = factor[t] * (1.0 - paid[t] / close[t - 1])
    return raw.assign(adj_close=(close * factor).round(6))


def with_dividend(raw: pd.DataFrame, day: str, amount: float) -> pd.DataFrame:
    """The same bars after a dividend went ex: the adjusted closes before it are other ones."""
    out = raw.copy()
    out.loc[day, "dividend"] = amount
    return adjusted(out)


def with_split(raw: pd.DataFrame, day: str, ratio: float) -> pd.DataFrame:
    """The same bars with a split: prices after it are those of smaller shares, those before it Yahoo has divided."""
    out = raw.copy()
    out[["open", "high", "low", "close", "dividend"]] /= ratio
    out["volume"] *= ratio
    out.loc[day, "split"] = ratio
    return adjusted(out)


@dataclass
class Yahoo:
    """What the server serves. `faults[symbol]` are ways in which the next answers about it fail, one each; `always`
    the way in which all do: "429", "500", "502html", "truncated", "cut", "empty", "nothing", "stall", "404"."""

    url: str = ""
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    faults: dict[str, deque[str]] = field(default_factory=dict)
    always: dict[str, str] = field(default_factory=dict)
    timezones: dict[str, str] = field(default_factory=dict)
    metas: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What is other than usual in the `meta` of answers about a symbol."""
    bodies: dict[str, bytes | Iterable[bytes]] = field(default_factory=dict)
    """What answers about a symbol are instead; in pieces: compressed, for as long as somebody takes them."""
    led: dict[str, str] = field(default_factory=dict)
    """Where answers about a symbol lead on to."""
    charts: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """(symbol, query) of every request for bars, in order."""
    paths: Counter[str] = field(default_factory=Counter)
    crumbs: list[str | None] = field(default_factory=list)
    """The crumb that came with each chart request."""
    poured: int = 0
    """Bytes of `bodies` in pieces that were sent."""
    stopped: threading.Event = field(default_factory=threading.Event)

    def asked(self) -> list[str]:
        """Symbols of the requests for bars, in order."""
        return [symbol for symbol, _ in self.charts]

    def chart(self, symbol: str, query: dict[str, str]) -> dict[str, Any]:
        zone = self.timezones.get(symbol, "America/New_York")
        table = self.tables[symbol]
        index: Any = table.index
        opens = (index + pd.Timedelta(hours=9, minutes=30)).tz_localize(zone).tz_convert("UTC")
        seconds: Any = pd.Series(opens.as_unit("s").asi8, index=table.index)
        low, high = int(query.get("period1", -(2**40))), int(query.get("period2", 2**40))
        inside = ((seconds >= low) & (seconds < high)).to_numpy(copy=True)
        if "period1" not in query:
            inside[:-1] = False  # range=1d
        table, seconds = table[inside], seconds[inside]
        quote = {name: [_json(value) for value in table[name]] for name in ("open", "high", "low", "close")}
        quote["volume"] = [None if np.isnan(value) else int(value) for value in table["volume"]]
        result: dict[str, Any] = {
            "meta": {
                "currency": "USD", "symbol": symbol, "exchangeName": "PCX", "instrumentType": "EQUITY",
                "regularMarketTime": int(time.time()), "gmtoffset": -18000, "timezone": "EST",
                "exchangeTimezoneName": zone, "priceHint": 2, "dataGranularity": "1d",
                "validRanges": ["1d", "5d", "1mo", "1y", "max"], "firstTradeDate": 1,
                **self.metas.get(symbol, {}),
            },
            "timestamp": [int(value) for value in seconds],
            "indicators": {"quote": [quote], "adjclose": [{"adjclose": [_json(v) for v in table["adj_close"]]}]},
        }  # fmt: skip
        dividends = {
            str(seconds[day]): {"amount": float(amount), "date": int(seconds[day])}
            for day, amount in table["dividend"].items() if amount
        }  # fmt: skip
        splits = {
            str(seconds[day]): {
                "date": int(seconds[day]), "numerator": float(ratio), "denominator": 1.0, "splitRatio": f"{ratio}:1"
            }
            for day, ratio in table["split"].items() if ratio
        }  # fmt: skip
        events = {name: found for name, found in (("dividends", dividends), ("splits", splits)) if found}
        if events:
            result["events"] = events
        return {"chart": {"result": [result], "error": None}}


def _json(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


class _Handler(BaseHTTPRequestHandler):
    yahoo: Yahoo
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet, or each answer waits for an acknowledgement
    disable_nagle_algorithm = True

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))  # the consent form comes with GET, too
        parts = urlsplit(self.path)
        self.yahoo.paths[parts.path] += 1
        if parts.path == "/v1/test/getcrumb":
            if COOKIE not in self.headers.get("Cookie", ""):
                self._send(401, b'{"finance":{"error":{"code":"Unauthorized","description":"Invalid Cookie"}}}')
            else:
                self._send(200, CRUMB.encode(), "text/plain")
        elif parts.path == "/consent":
            self._send(200, b'<form><input name="csrfToken" value="t"><input name="sessionId" value="s"></form>')
        elif parts.path.startswith("/v8/finance/chart/"):
            self._chart(unquote(parts.path.rsplit("/", 1)[1]), parts.query)
        else:  # the address from which the cookie comes answers 404, as fc.yahoo.com does
            self._send(404, b"<html></html>", "text/html")

    def _chart(self, symbol: str, text: str) -> None:
        query = {name: values[0] for name, values in parse_qs(text).items()}
        self.yahoo.crumbs.append(query.get("crumb"))
        if "period1" in query:
            self.yahoo.charts.append((symbol, query))
        if symbol in self.yahoo.led and "led" not in query:
            self._send(302, b"", more={"Location": self.yahoo.led[symbol].format(query=text)})
            return
        body = self.yahoo.bodies.get(symbol)
        if isinstance(body, bytes):
            self._send(200, body)
            return
        if body is not None:
            self._pour(body)
            return
        if "period1" not in query and symbol in self.yahoo.tables and symbol not in self.yahoo.always:
            self._json(self.yahoo.chart(symbol, query))  # the question for the time zone
            return
        fault = self.yahoo.always.get(symbol)
        if fault is None and self.yahoo.faults.get(symbol):
            fault = self.yahoo.faults[symbol].popleft()
        if symbol not in self.yahoo.tables:
            fault = fault or "404"
        if fault is None:
            if query.get("crumb") not in (None, CRUMB):
                self._send(401, b'{"finance":{"error":{"code":"Unauthorized","description":"Invalid Crumb"}}}')
                return
            self._json(self.yahoo.chart(symbol, query))
        elif fault == "404":
            error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
            self._json({"chart": {"result": None, "error": error}}, 404)
        elif fault == "429":
            self._send(429, b"Too Many Requests\r\n", "text/html")
        elif fault == "500":
            error = {"code": "Internal Server Error", "description": "oops"}
            self._json({"chart": {"result": None, "error": error}}, 500)
        elif fault == "502html":
            self._send(502, b"<html>Bad Gateway</html>", "text/html")
        elif fault == "empty":
            meta = {"currency": "USD", "symbol": symbol, "instrumentType": "EQUITY", "validRanges": ["1d", "max"],
                    "exchangeTimezoneName": "America/New_York", "regularMarketTime": 1}  # fmt: skip
            self._json(
                {"chart": {"result": [{"meta": meta, "indicators": {"quote": [{}], "adjclose": [{}]}}], "error": None}}
            )
        elif fault == "nothing":
            self._json({"chart": {"result": [], "error": None}})
        elif fault == "stall":
            self.yahoo.stopped.wait(STALL)
            self.close_connection = True
        else:
            body = json.dumps(self.yahoo.chart(symbol, query)).encode()
            if fault == "truncated":  # a whole answer whose JSON stops
                self._send(200, body[: len(body) // 2])
            else:  # cut: the connection ends before the length it announced
                self._send(200, body[: len(body) // 2], length=len(body))
                self.close_connection = True

    def _pour(self, pieces: Iterable[bytes]) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        with suppress(OSError):  # whoever has had enough hangs up
            for piece in pieces:
                self.wfile.write(piece)
                self.yahoo.poured += len(piece)

    def _json(self, content: Any, status: int = 200) -> None:
        self._send(status, json.dumps(content).encode())

    def _send(
        self,
        status: int,
        body: bytes,
        kind: str = "application/json",
        length: int | None = None,
        more: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Set-Cookie", f"{COOKIE}; Path=/; Max-Age=31536000")
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serve(tables: dict[str, pd.DataFrame]) -> Iterator[Yahoo]:
    """A running server; `Yahoo.url` is its address."""
    yahoo = Yahoo(tables=dict(tables))
    handler = type("Handler", (_Handler,), {"yahoo": yahoo})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    yahoo.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield yahoo
    finally:
        yahoo.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def in_place_of_yahoo(tables: dict[str, pd.DataFrame], patch: pytest.MonkeyPatch, folder: Path) -> Iterator[Yahoo]:
    """A running server to which yfinance goes, with its own small caches in `folder`, and no seconds waited."""
    from riskoverlay.feeds import cache, yahoo

    with serve(tables) as server:
        patch.setenv("RISKOVERLAY_YAHOO_URL", server.url)
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setattr(yahoo, "WAITS", (0.01, 0.02, 0.03))
        cache._keep_yfinance_in(str(folder))
        yield server
