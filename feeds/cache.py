"""Yahoo's bars kept on disk: asked for once a session, there without a network."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
import pandas as pd
import platformdirs

from riskoverlay.errors import InputError
from riskoverlay.files import replace_file

from .calendars import calendar_of, finished_session
from .currencies import Identity
from .symbols import check_symbols
from .yahoo import fetch_yahoo, refusal, utc_now

if TYPE_CHECKING:
    from .yahoo_http import Fault

__all__ = ["Cache", "Cached", "file_name", "user_folder"]

_FORMAT = 1  # of the files; 0: those without a number
_RECENT = pd.Timedelta(hours=1)  # after which a symbol without its last session is asked for again
_ABANDONED = 3600.0  # seconds after which a temporary file belongs to a process that was killed
_WRITING = ".writing-"  # begins the names of temporary files
_COLUMNS = ("open", "high", "low", "close", "volume", "adj_close", "dividend", "split")
_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|COM\d|LPT\d)", re.IGNORECASE)  # no file names on Windows


@dataclass(frozen=True)
class Cached:
    """All the bars of one symbol, and when they were fetched.

    Attributes
    ----------
    symbol : str
    bars : DataFrame
        As `fetch_yahoo` gives them: unadjusted, unchecked.
    fetched : Timestamp
        UTC.
    identity : Identity
        What Yahoo says that they are of.
    """

    symbol: str
    bars: pd.DataFrame
    fetched: pd.Timestamp
    identity: Identity = field(default_factory=Identity)

    @property
    def last(self) -> pd.Timestamp:
        """The last session it holds."""
        return pd.Timestamp(self.bars.index[-1])


def user_folder() -> Path:
    """The user's own cache folder, by the platform's custom.

    Returns
    -------
    Path
    """
    return platformdirs.user_cache_path("riskoverlay")


@dataclass(frozen=True)
class Cache:
    """A folder with one file a symbol.

    Every file holds all the history there is, so that any window is served from it. It is written to a temporary file
    and renamed over the old one: a reader, a killed writer and a second process all leave or find a whole file. Of two
    processes that write at once the later one stays; both wrote what Yahoo said. A checksum covers every byte.

    Parameters
    ----------
    folder : str or Path
        Created when needed (default: the user's own cache folder).
    refresh : bool
        Fetch every symbol anew.
    offline : bool
        Serve what is there, ask nobody.
    progress : callable, optional
        Called with each symbol when its bars are there.
    now : callable
        The time, UTC.

    Raises
    ------
    InputError
        `refresh` with `offline`; a folder that is none.
    """

    folder: str | Path = field(default_factory=user_folder)
    refresh: bool = False
    offline: bool = False
    progress: Callable[[str], None] | None = None
    now: Callable[[], pd.Timestamp] = utc_now

    def __post_init__(self) -> None:
        if self.refresh and self.offline:
            raise InputError("refresh=True with offline=True", "give one of them")
        if Path(self.folder).exists() and not Path(self.folder).is_dir():
            raise InputError("is not a folder", "give one", "cache_dir", str(self.folder))

    def path(self, symbol: str) -> Path:
        """The file of a symbol, always directly in the folder.

        Parameters
        ----------
        symbol : str

        Returns
        -------
        Path
        """
        return Path(self.folder) / file_name(symbol)

    def bars(
        self, symbols: Sequence[str] | str, end: pd.Timestamp | None = None
    ) -> tuple[dict[str, Cached], list[str]]:
        """All bars of each symbol.

        A file is fresh when it holds the last session that is over (and not after `end`), or was fetched within the
        last hour. Of one that is not, all of the history is fetched: a vendor corrects and restates it at any place,
        and one request brings one day or all of them.

        Parameters
        ----------
        symbols : sequence of str, or str
        end : Timestamp, optional
            Sessions after it are not missed.

        Returns
        -------
        bars : dict
            symbol -> Cached.
        notes : list of str
            A sentence for each thing to know about their age.

        Raises
        ------
        InputError
            Symbols for which there is neither an answer nor a file that is whole. What else came is kept all the same.
        """
        names = check_symbols(symbols)
        now = self.now()
        held, damaged = self._read_all(names)
        if self.offline:
            self._refuse_offline(names, held, damaged)
            self._report(names)
            return held, _ages("offline", held, names)
        wanted = [name for name in names if name not in held or self.refresh or not _fresh(held[name], now, end)]
        self._report([name for name in names if name not in wanted])
        fetched, faults = self._fetched(wanted, now)
        notes = [f"{error.said} and was fetched anew" for error in damaged.values()]
        notes += [
            f"{symbol}: Yahoo says that it is another one now ({'; '.join(changed)})"
            for symbol, one in fetched.items()
            if symbol in held and (changed := one.identity.changes(held[symbol].identity))
        ]
        notes += self._write_all(fetched)
        lost = {symbol: fault for symbol, fault in faults.items() if symbol not in held}
        if lost:
            refused = refusal(lost)
            broken = [f"{damaged[symbol].said} and " for symbol in lost if symbol in damaged]
            raise InputError("".join(broken) + refused.said, refused.cure)
        if faults:
            notes += _ages(refusal(faults).said, held, [name for name in names if name in faults])
        return {name: fetched.get(name) or held[name] for name in names}, notes

    def read(self, symbol: str) -> Cached | None:
        """What the file of a symbol holds.

        Parameters
        ----------
        symbol : str

        Returns
        -------
        Cached or None
            None without a file.

        Raises
        ------
        InputError
            A file that cannot be read, is damaged, or was written by a newer program.
        """
        path = self.path(symbol)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(
                f"cache file {path} cannot be read ({error.strerror})", "correct that, or give another cache_dir"
            ) from None
        try:
            return _parsed(content, symbol)
        except _UnreadableError as error:
            raise InputError(f"cache file {path} {error}", "fetch it again, without offline, or delete it") from None

    def write(self, cached: Cached) -> None:
        """Put a symbol's file in place of the old one, all at once.

        Parameters
        ----------
        cached : Cached

        Raises
        ------
        OSError
        """
        path = self.path(cached.symbol)
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        replace_file(path, lambda temporary: temporary.write_bytes(_text(cached)), prefix=_WRITING)

    # -- steps -------------------------------------------------------------------------------------------------------

    def _read_all(self, names: Sequence[str]) -> tuple[dict[str, Cached], dict[str, InputError]]:
        """What the files hold; and for those that are damaged, the error that says so."""
        held: dict[str, Cached] = {}
        damaged: dict[str, InputError] = {}
        for symbol in names:
            try:
                found = self.read(symbol)
            except InputError as error:
                damaged[symbol] = error
                continue
            if found is not None:
                held[symbol] = found
        return held, damaged

    def _refuse_offline(
        self, names: Sequence[str], held: Mapping[str, Cached], damaged: Mapping[str, InputError]
    ) -> None:
        if damaged:
            raise next(iter(damaged.values()))
        missing = [symbol for symbol in names if symbol not in held]
        if missing:
            raise InputError(f"{', '.join(missing)}: not in the cache {self.folder}", "fetch it first, without offline")

    def _fetched(self, wanted: Sequence[str], now: pd.Timestamp) -> tuple[dict[str, Cached], dict[str, Fault]]:
        """The wanted symbols' bars as they are now, and why some have none."""
        if not wanted:
            return {}, {}
        _keep_yfinance_in(str(self.folder))
        identities: dict[str, Identity] = {}
        found, faults = fetch_yahoo(
            wanted, answered=lambda symbol: self._report([symbol]), identified=identities.__setitem__, now=now
        )
        return {
            symbol: Cached(symbol, bars, now, identities.get(symbol, Identity())) for symbol, bars in found.items()
        }, faults

    def _write_all(self, fetched: Mapping[str, Cached]) -> list[str]:
        """Write the files; a folder that cannot be written costs a sentence, not the run."""
        for cached in fetched.values():
            try:
                self.write(cached)
            except OSError as error:
                return [f"cache {self.folder} cannot be written ({error.strerror}): the prices are not kept"]
        return []

    def _report(self, symbols: Sequence[str]) -> None:
        if self.progress is not None:
            for symbol in symbols:
                self.progress(symbol)


def file_name(symbol: str) -> str:
    """The file name of any text: upper case, other characters than A-Z 0-9 _ - as %XX, never long.

    Symbols differ by case nowhere at Yahoo, and not every file system tells cases apart.

    Parameters
    ----------
    symbol : str

    Returns
    -------
    str
    """
    safe = quote(symbol.upper(), safe="").replace(".", "%2E").replace("~", "%7E")
    if _RESERVED.fullmatch(safe):
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    if len(safe) > 100:
        safe = f"{safe[:60]}-{hashlib.sha256(symbol.upper().encode()).hexdigest()[:16]}"
    return f"{safe}.csv"


def _fresh(cached: Cached, now: pd.Timestamp, end: pd.Timestamp | None) -> bool:
    wanted = finished_session(now, calendar_of(cached.symbol), end)
    return wanted is None or cached.last >= wanted or now - _RECENT <= cached.fetched <= now


def _text(cached: Cached) -> bytes:
    """The file: a line with the SHA-256 of all that follows, a line that describes it, and the bars as CSV."""
    described = {
        "format": _FORMAT,
        "symbol": cached.symbol,
        "fetched": cached.fetched.tz_convert("UTC").isoformat(),
        "rows": len(cached.bars),
        **cached.identity.described(),
    }
    table = cached.bars[list(_COLUMNS)].to_csv(date_format="%Y-%m-%d", index_label="date", lineterminator="\n")
    below = f"# {json.dumps(described)}\n{table}".encode()
    return f"# sha256 {hashlib.sha256(below).hexdigest()}\n".encode() + below


class _UnreadableError(Exception):
    """Why a file cannot be used, to be said after its name."""


def _parsed(content: bytes, symbol: str) -> Cached:
    """What `_text` wrote. Raises _UnreadableError."""
    first, _, below = content.partition(b"\n")
    if first != f"# sha256 {hashlib.sha256(below).hexdigest()}".encode():
        raise _UnreadableError("is damaged (its checksum does not match)")
    described, _, table = below.partition(b"\n")
    try:
        about = json.loads(described[2:])
        number = about.get("format", 0)
        if number > _FORMAT:
            raise _UnreadableError(f"is of format {number}, written by a newer riskoverlay")
        fetched = pd.Timestamp(about["fetched"])
        # As text first: not every pandas reads back the very number that was written.
        cells = pd.read_csv(io.BytesIO(table), index_col="date", dtype=str)
        dates = pd.DatetimeIndex(pd.to_datetime(cells.index, format="%Y-%m-%d")).as_unit("ns")
        bars = cells[list(_COLUMNS)].astype(np.float64).set_axis(dates)
        whole = about["symbol"].upper() == symbol.upper() and len(bars) == about["rows"] > 0
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise _UnreadableError("is damaged (it holds something else)")
    return Cached(symbol, bars.rename_axis("date"), fetched, Identity.of(about))


def _ages(why: str, held: Mapping[str, Cached], names: Sequence[str]) -> list[str]:
    """Of when the cached prices of `names` are: a sentence for all, with each distinct last session."""
    if not names:
        return []
    by_age: dict[tuple[str, str], list[str]] = {}
    for name in names:
        age = (f"{held[name].last:%Y-%m-%d}", f"{held[name].fetched:%Y-%m-%d %H:%M} UTC")
        by_age.setdefault(age, []).append(name)
    parts = [f"{', '.join(who)} up to {last}, fetched {fetched}" for (last, fetched), who in by_age.items()]
    return [f"{why}: prices are from the cache: {'; '.join(parts)}"]


def _sweep(folder: Path) -> None:
    """Remove what killed writers left behind."""
    for path in folder.glob(f"{_WRITING}*"):
        try:
            if time.time() - path.stat().st_mtime > _ABANDONED:
                path.unlink()
        except OSError:
            continue  # another process was quicker


_located: list[str] = []


def _keep_yfinance_in(folder: str) -> None:
    """yfinance keeps time zones and cookies of its own: in our folder, too. It takes the first place it is given."""
    import yfinance

    if not _located:
        yfinance.set_tz_cache_location(os.path.join(folder, "yfinance"))
        _located.append(folder)
