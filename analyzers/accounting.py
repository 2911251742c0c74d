"""Profit and cost of positions held and fills made: plain functions over arrays, money in and out.

T sessions, n feeds, K strategies. Sizes and closes are those at the end of a session; the closes of a feed
that has not started are nan. `units` (n,) is the money that one point of price makes on one unit: 1 for
shares, the contract's multiplier for futures.
"""

import numpy as np
import numpy.typing as npt

__all__ = [
    "capital",
    "carried_profit",
    "deposits",
    "log_links",
    "per_session",
    "position_values",
    "share_interest",
    "turnover",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def position_values(sizes: Floats, closes: Floats, units: Floats) -> Floats:
    """Signed market value of each position.

    Parameters
    ----------
    sizes, closes : ndarray of shape (T, n)
        At the end of each session.
    units : ndarray of shape (n,)
        Money that a point of price makes on one unit.

    Returns
    -------
    ndarray of shape (T, n)
        Money; 0 where nothing is held, whatever the close.
    """
    return np.where(sizes != 0.0, sizes * closes * units, 0.0)


def carried_profit(sizes: Floats, closes: Floats, units: Floats) -> Floats:
    """Profit of what was carried into each session: size(t−1)·(close(t) − close(t−1)).

    Parameters
    ----------
    sizes, closes : ndarray of shape (T, n)
        At the end of each session.
    units : ndarray of shape (n,)
        Money that a point of price makes on one unit.

    Returns
    -------
    ndarray of shape (T,)
        Money per session.
    """
    profit = np.zeros(len(sizes))
    change = closes[1:] - closes[:-1]
    profit[1:] = np.where(sizes[:-1] != 0.0, sizes[:-1] * change * units, 0.0).sum(axis=1)
    return profit


def per_session(amounts: npt.ArrayLike, sessions: Ints, count: int) -> Floats:
    """Amounts summed by session.

    Parameters
    ----------
    amounts : array-like of shape (m,)
    sessions : ndarray of shape (m,)
        The session, 0 .. count − 1, that each belongs to.
    count : int
        Sessions.

    Returns
    -------
    ndarray of shape (count,)
    """
    return np.bincount(sessions, weights=np.asarray(amounts, dtype=np.float64), minlength=count).astype(np.float64)


def deposits(value: Floats, fund: Floats, shares: Floats, start_fund: float, start_shares: float) -> Floats:
    """Money paid in, from the account's fund shares.

    The broker sells shares for a deposit at the fund value of the session before: Δshares(t)·fund(t−1).

    Parameters
    ----------
    value, fund, shares : ndarray of shape (T,)
        Equity, fund value and fund shares at the end of each session.
    start_fund, start_shares : float
        Before the first.

    Returns
    -------
    ndarray of shape (T,)
        Money per session; negative: paid out.
    """
    if not value.size:
        return value
    # A broker asked for the value of one feed in mid-session issues shares before it counts their money; the
    # shares that belong to the value are value/fund.
    counts = np.isclose(shares * fund, value, rtol=1e-9, atol=0.0) | (fund == 0.0)
    counted = np.divide(value, fund, out=shares.copy(), where=~counts)
    before = np.concatenate(([start_fund], fund[:-1]))
    return np.diff(np.concatenate(([start_shares], counted))) * before


def capital(
    value: Floats, paid_in: Floats, fund: Floats, begins: Ints, start_value: float, start_fund: float
) -> Floats:
    """What the money of each bar is held against, so that within a session simple returns add up to the fund's.

    Equity before the bar and what was paid in, per unit of what the fund has grown since the session began: with one
    bar a session E(t−1) + deposits(t), and profit(t) over it is fund(t)/fund(t−1) − 1.

    Parameters
    ----------
    value, paid_in, fund : ndarray of shape (bars,)
        Equity and fund value at the end of each bar, `deposits` in it.
    begins : ndarray of shape (T,)
        The first bar of each session.
    start_value, start_fund : float
        Equity and fund value before the first bar.

    Returns
    -------
    ndarray of shape (bars,)
        Money; nan where there is none.
    """
    n = len(value)
    equity, funds = np.concatenate(([start_value], value))[:n], np.concatenate(([start_fund], fund))[:n]
    before = np.repeat(funds[begins], np.diff(np.append(begins, n)))
    grown = np.divide(before, funds, out=np.full(n, np.nan), where=funds != 0.0)
    found = (equity + paid_in) * grown
    return np.where(found != 0.0, found, np.nan)


def log_links(returns: Floats, fund: Floats) -> Floats:
    """Factors k(t) = ln(1 + R(t)) / R(t), 1 where R(t) = 0: parts of simple returns × k add up to the log growth.

    Parameters
    ----------
    returns : ndarray of shape (T,)
        Simple, R.
    fund : ndarray of shape (T,)
        Fund value at the end of each session.

    Returns
    -------
    ndarray of shape (T,)
        nan from the session on that leaves nothing of the fund.
    """
    alive = np.logical_and.accumulate(fund > 0.0) & (returns > -1.0)
    logs = np.log1p(returns, out=np.full(len(returns), np.nan), where=alive)
    return np.divide(logs, returns, out=np.where(alive, 1.0, np.nan), where=alive & (returns != 0.0))


def turnover(traded: float, value: Floats, periods: float) -> tuple[float, float]:
    """Traded value over the mean equity.

    Parameters
    ----------
    traded : float
        Value of all fills, both sides, money.
    value : ndarray of shape (T,)
        Equity.
    periods : float
        Sessions a year.

    Returns
    -------
    whole, annual : float
        Of the whole run, and a year; nan without sessions.
    """
    if not value.size:
        return float("nan"), float("nan")
    whole = traded / float(value.mean())
    return whole, whole * periods / value.size


def share_interest(interest: Floats, equity: Floats, longs: Floats, shorts: Floats) -> Floats:
    """Interest of the account shared among K strategies.

    Paid on a loan (gross longs above equity): in proportion to own gross longs; paid without a loan (a fee for borrowed
    shares): to own gross shorts, or longs where nobody is short; received, or nobody held anything: in equal parts.

    Parameters
    ----------
    interest, equity : ndarray of shape (T,)
        Of the account per session, and before it.
    longs, shorts : ndarray of shape (K, T)
        Gross values that each strategy carried overnight into the session.

    Returns
    -------
    ndarray of shape (K, T)
        Columns add up to the interest.
    """
    use_short = (longs.sum(axis=0) <= equity) & (shorts.sum(axis=0) > 0.0)
    basis = np.where(use_short, shorts, longs)
    total = basis.sum(axis=0)
    shares = np.full(basis.shape, 1.0 / len(basis))
    paid = (interest > 0.0) & (total > 0.0)
    shares[:, paid] = basis[:, paid] / total[paid]
    return shares * interest
