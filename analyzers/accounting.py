"""Profit and cost of positions held and fills made: plain functions over arrays, money in and out.

T sessions, n feeds, K strategies. Sizes and closes are those at the end of a session; the closes of a feed
that has not started are nan. `units` (n,) is the money that one point of price makes on one unit: 1 for
shares, the contract's multiplier for futures.
"""

import numpy as np
import numpy.typing as npt

__all__ = ["carried_profit", "deposits", "per_session", "position_values", "share_interest", "turnover"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def position_values(sizes: Floats, closes: Floats, units: Floats) -> Floats:
    """Signed market value of each position, shape (T, n); 0 where nothing is held, whatever the close."""
    return np.where(sizes != 0.0, sizes * closes * units, 0.0)


def carried_profit(sizes: Floats, closes: Floats, units: Floats) -> Floats:
    """Profit per session, shape (T,), of what was carried into it: size(t−1)·(close(t) − close(t−1))."""
    profit = np.zeros(len(sizes))
    if len(sizes) > 1:
        change = closes[1:] - closes[:-1]
        profit[1:] = np.where(sizes[:-1] != 0.0, sizes[:-1] * change * units, 0.0).sum(axis=1)
    return profit


def per_session(amounts: npt.ArrayLike, sessions: Ints, count: int) -> Floats:
    """Amounts summed by the session (0 .. count − 1) that each belongs to, shape (count,)."""
    return np.bincount(sessions, weights=np.asarray(amounts, dtype=np.float64), minlength=count).astype(
        np.float64
    )


def deposits(value: Floats, fund: Floats, shares: Floats, start_fund: float, start_shares: float) -> Floats:
    """Money paid in (negative: out) per session, shape (T,), from the account's fund shares.

    The broker sells shares for a deposit at the fund value of the session before: Δshares(t)·fund(t−1).
    """
    if not value.size:
        return value
    # A broker asked for the value of one feed in mid-session issues shares before it counts their money; the
    # shares that belong to the value are value/fund.
    counted = np.where(np.isclose(shares * fund, value, rtol=1e-9, atol=0.0), shares, value / fund)
    before = np.concatenate(([start_fund], fund[:-1]))
    return np.diff(np.concatenate(([start_shares], counted))) * before


def turnover(traded: float, value: Floats, periods: float) -> tuple[float, float]:
    """Traded value (both sides) over the mean equity: of the whole run, and a year. nan without sessions."""
    if not value.size:
        return float("nan"), float("nan")
    whole = traded / float(value.mean())
    return whole, whole * periods / value.size


def share_interest(interest: Floats, equity: Floats, longs: Floats, shorts: Floats) -> Floats:
    """Interest of the account per session, shape (T,), shared among K strategies: (K, T), columns add up to
    it.

    `longs`, `shorts` (K, T): gross values that each strategy carried overnight into the session; `equity`
    (T,) of the account before it. Paid on a loan (gross longs above equity): in proportion to own gross
    longs; paid without a loan (a fee for borrowed shares): to own gross shorts, or longs where nobody is
    short; received, or nobody held anything: in equal parts.
    """
    use_short = (longs.sum(axis=0) <= equity) & (shorts.sum(axis=0) > 0.0)
    basis = np.where(use_short, shorts, longs)
    total = basis.sum(axis=0)
    shares = np.full(basis.shape, 1.0 / len(basis))
    paid = (interest > 0.0) & (total > 0.0)
    shares[:, paid] = basis[:, paid] / total[paid]
    return shares * interest
