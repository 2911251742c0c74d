"""A broker with a margin account: true cash, a loan that is charged once a session, margin calls."""

import math
from typing import Any

import backtrader as bt

from riskoverlay.errors import InputError
from riskoverlay.rules import check_names

from .fast_orders import FastOrders
from .margin import MarginAccount
from .rules import ExecutionTerms
from .schedule import STALE_DAYS

__all__ = ["MarginBroker", "open_account"]


class MarginBroker(FastOrders):
    """Backtrader's broker with the cash rules of a stock margin account.

    What differs from `BackBroker`:

    - Cash is true cash: negative is the loan. The stock broker keeps free margin at *cost* there, so that unrealised
      gains are no collateral and a levered portfolio that has grown is refused.
    - An order is accepted when, at the prices that decided it, gross positions × initial margin stay within equity;
      orders that only reduce are always accepted, and a refused one does not poison the batch.
      A fill is refused only when it would leave the account below maintenance margin.
    - Interest on the debit, by calendar days, once a session and for the account as a whole, in `d_credit["loan"]`.
      It never enters commissions, and fund value feels it.
    - Margin call: an account that closes a session below maintenance is cut to it, pro rata, at the next session's
      fill price, after the strategies' own orders. Cuts are orders of the strategy that holds the shares, with
      `order.info.margin_call` set.
    - A market order on a feed that has ended (no bar for ten calendar days) fills at its last close: a delisted
      share is paid out. The stock broker keeps such an order for ever.

    Parameters
    ----------
    account : MarginAccount, optional
        Says what is charged (default: one with its defaults).
    acknowledge : bool
        See `FastOrders`.

    Raises
    ------
    InputError
        An order on a feed whose commission scheme is not stock-like.
    """

    params = (("account", None),)  # type: ignore[assignment]  # backtrader adds them to the parent's

    def __init__(self) -> None:
        super().__init__()
        self.account = self.p.account if self.p.account is not None else MarginAccount()
        self.addcommissioninfo(self.account)

    def init(self) -> None:
        """Start a run with an empty book."""
        super().init()
        self._fundval: float = self.p.fundstartval
        self._session = 0.0
        self._charged_to = 0
        self._clocks: list[Any] = []
        cerebro = getattr(self, "cerebro", None)
        self._waiting: list[Any] = list(cerebro.datas) if cerebro is not None else []
        self._called = False
        self._marks: dict[Any, float] = {}
        self._books: tuple[float, float] | None = None  # amid fills: equity, gross value at the last closes
        self._long_value = self._short_value = 0.0
        self._owned: dict[tuple[Any, Any], float] = {}

    def submit(self, order: Any, check: bool = True) -> Any:
        """Take an order on a stock-like feed.

        Parameters
        ----------
        order : bt.Order
        check : bool

        Returns
        -------
        bt.Order

        Raises
        ------
        InputError
            The feed has a futures commission scheme.
        """
        if not self.getcommissioninfo(order.data).stocklike:
            raise InputError(
                f"feed {order.data._name!r} has a futures commission scheme",
                "a margin account for stocks cannot hold it; give the feed a stock-like one, or use backtrader's "
                "BackBroker",
            )
        return super().submit(order, check=check)

    # -- value ---------------------------------------------------------------------------------------------------

    def _get_value(self, datas: Any = None, lever: bool = False) -> float:
        if datas is not None:
            return sum(self.positions[data].size * data.close[0] for data in datas)
        while self._cash_addition:
            money = self._cash_addition.popleft()
            self._fundshares += money / self._fundval
            self.cash += money
        longs = shorts = unrealized = 0.0
        self._marks = marks = {}
        self._books = None
        for data, position in self.positions.items():
            size = position.size
            if size:
                price = marks[data] = data.close[0]
                if size > 0:
                    longs += size * price
                else:
                    shorts += size * price
                unrealized += size * (price - position.price)
        self._long_value, self._short_value, self._unrealized = longs, shorts, unrealized
        self._valuemkt = self._valuemktlever = longs + shorts
        self._value = self._valuelever = self.cash + longs + shorts
        self._fundval = self._value / self._fundshares
        self._leverage = (longs - shorts) / self._value if self._value > 0 else math.inf
        return self._value

    # -- orders --------------------------------------------------------------------------------------------------

    def check_submitted(self) -> None:
        """Accept the orders that the initial margin allows at the prices that decided them, in the order sent."""
        equity, gross = self._value, self._long_value - self._short_value
        positions: dict[Any, float] = {}
        while self.submitted:
            order = self.submitted.popleft()
            if self._take_children(order) is None:
                continue
            price = order.data.open[0] if self.p.coo else order.created.price  # at the open nobody knows the close
            held = positions.get(order.data, self.positions[order.data].size)
            change = (abs(held + order.size) - abs(held)) * price
            if change > 0 and (gross + change) * self.account.terms.initial_margin > equity * (1 + 1e-9):
                order.margin()
                self.notify(order)
                self._ococheck(order)
                self._bracketize(order, cancel=True)
                continue
            gross += change
            positions[order.data] = held + order.size
            self.submit_accept(order)

    def _execute(
        self,
        order: Any,
        ago: int | None = None,
        price: float | None = None,
        cash: float | None = None,
        position: Any = None,
        dtcoc: float | None = None,
    ) -> None:
        if price is None or ago is None:
            return
        data, size = order.data, order.executed.remsize
        if self.p.filler is not None:
            size = math.copysign(self.p.filler(order, price, ago), size)
        if not size:
            return
        account = self.getcommissioninfo(data)
        position = self.positions[data]
        commission = account.getcommission(size, price)
        if abs(position.size + size) > abs(position.size) and not self._can_hold(data, size, price, commission):
            order.margin()
            self.notify(order)
            self._ococheck(order)
            self._bracketize(order, cancel=True)
            return

        if self._books is not None:
            equity, gross = self._books
            mark = self._marks.setdefault(data, price)
            more = abs(position.size + size) - abs(position.size)
            self._books = equity + size * (mark - price) - commission, gross + more * mark
        cost = position.price
        psize, pprice, opened, closed = position.update(size, price, data.datetime.datetime())
        profit = closed and -closed * (price - cost)
        self.cash -= size * price + commission
        owner = (order.owner, data)
        self._owned[owner] = self._owned.get(owner, 0.0) + size
        order.execute(
            dtcoc or data.datetime[ago], size, price,
            closed, -closed * cost, commission * abs(closed / size),
            opened, opened * price, commission * abs(opened / size),
            account.margin, profit, psize, pprice,
        )  # fmt: skip
        order.addcomminfo(account)
        self.notify(order)
        self._ococheck(order)

    def _try_exec(self, order: Any) -> None:
        data = order.data
        if order.exectype != order.Market:
            super()._try_exec(order)
        elif self._session - data.datetime[0] > STALE_DAYS:
            self._fill_at(order, data.close[0])
        elif self.p.coc and self.p.slip_out and order.info.get("coc", True):
            self._try_exec_market(order, math.nan, math.nan, math.nan)  # needs no price of this bar
        else:
            super()._try_exec(order)

    def _fill_at(self, order: Any, reference: float) -> None:
        """Fill a market order at a price of our own, after slippage; analyzers find the price in its info."""
        order.addinfo(reference=reference)
        self._execute(order, ago=0, price=reference * (1.0 + math.copysign(self.p.slip_perc, order.size)))

    def _can_hold(self, data: Any, size: float, price: float, commission: float) -> bool:
        """Whether a fill leaves the account at maintenance margin or above: this feed at the fill's price, the others
        at their last closes."""
        if self._books is None:
            held = [(p.size, self._marks.get(d, p.price)) for d, p in self.positions.items() if p.size]
            equity = self.cash + sum([size * mark for size, mark in held])
            self._books = equity, sum([abs(size) * mark for size, mark in held])
        equity, gross = self._books
        position = self.positions[data]
        mark = self._marks.get(data, position.price)
        equity += position.size * (price - mark) - commission
        gross += abs(position.size + size) * price - abs(position.size) * mark
        return gross * self.account.terms.maintenance_margin <= equity * (1 + 1e-9)

    # -- the session ---------------------------------------------------------------------------------------------

    def next(self) -> None:
        """One session: accept, charge the night's interest, fill, meet a margin call, value."""
        self._session = self._latest()
        while self._toactivate:
            self._toactivate.popleft().activate()
        if self.submitted:
            self.check_submitted()
        # Fills at the close that decided them (coc) belong to the evening before the night that is charged.
        if not self.p.coc:
            self._charge_interest()
        if self._userhist:
            self._process_order_history()
        if self.pending:
            self._fill_pending()
        if self._called:
            self._cut_to_maintenance()
        if self.p.coc:
            self._charge_interest()
        self._get_value()
        gross = self._long_value - self._short_value
        self._called = gross > 0 and gross * self.account.terms.maintenance_margin > self._value * (1 + 1e-9)

    def _latest(self) -> float:
        """Date number of this session: the latest bar of any feed that has begun."""
        if self._waiting:
            # A preloaded feed that has not begun would show its last bar: backtrader's lines wrap around.
            self._clocks += [data.datetime for data in self._waiting if len(data)]
            self._waiting = [data for data in self._waiting if not len(data)]
        first = self._clocks[0][0]
        # Feeds advance to one moment together: if the first has moved, it is there.
        return first if first > self._session else max([clock[0] for clock in self._clocks])

    def _fill_pending(self) -> None:
        # The mark ends the round: what is filled or expires takes its siblings out of the queue.
        self.pending.append(None)
        while (order := self.pending.popleft()) is not None:
            if order.expire():
                self.notify(order)
                self._ococheck(order)
                self._bracketize(order, cancel=True)
            elif not order.active():
                self.pending.append(order)
            else:
                self._try_exec(order)
                if order.alive():
                    self.pending.append(order)
                elif order.status == order.Completed:
                    self._bracketize(order)

    def _charge_interest(self) -> None:
        """Take the interest of the nights since the last session; the debit has not moved since its fills."""
        start, day = self._charged_to, int(self._session)
        self._charged_to = day
        if not start or day <= start:
            return
        debit = -self.cash
        if self._short_value:
            debit -= self._short_value  # short proceeds are collateral: they neither pay the loan nor earn
        if debit:
            interest = self.account.interest(debit, start, day)
            self.d_credit["loan"] += interest
            self.cash -= interest

    def _cut_to_maintenance(self) -> None:
        """Sell (or buy back) the same part of every position, at this session's fill price, until the call is met."""
        marks = {}
        for data, position in self.positions.items():
            if position.size:
                marks[data] = self._marks[data] if self.p.coc else data.open[0]
        gross = sum(abs(self.positions[data].size) * mark for data, mark in marks.items())
        equity = self.cash + sum(self.positions[data].size * mark for data, mark in marks.items())
        need = self.account.terms.maintenance_margin
        if gross * need <= equity * (1 + 1e-9):
            return
        cost = self.p.slip_perc + self.account.terms.commission_bps / 1e4
        part = 1.0 if equity <= 0 else min(1.0, (gross * need - equity) / (gross * (need - cost)))
        for (owner, data), size in list(self._owned.items()):
            if not size or data not in marks:
                continue
            whole = float(size).is_integer()
            cut = min(abs(size), math.ceil(abs(size) * part) if whole else abs(size) * part)
            kind = bt.SellOrder if size > 0 else bt.BuyOrder
            order = kind(owner=owner, data=data, size=cut, price=None, exectype=bt.Order.Market)
            order.addinfo(margin_call=True)
            self._ocoize(order, None)
            order.submit()
            self.notify(order)
            order.accept()
            self.notify(order)
            self._fill_at(order, marks[data])


def open_account(
    cerebro: bt.Cerebro,
    cash: float = ExecutionTerms.cash,
    *,
    execution: str = ExecutionTerms.execution,
    slippage_bps: float = ExecutionTerms.slippage_bps,
    broker: str = "margin",
    acknowledge: bool = True,
    **account: Any,
) -> Any:
    """Give a Cerebro a margin account.

    Parameters
    ----------
    cerebro : bt.Cerebro
    cash, execution, slippage_bps
        See `ExecutionTerms`.
    broker : {"margin", "stock"}
        `MarginBroker`, or backtrader's own BackBroker.
    acknowledge : bool
        See `MarginBroker`.
    **account
        Fields of `AccountTerms`: commission_bps, initial_margin, borrow_rate, ...

    Returns
    -------
    broker
        Cerebro's from now on.

    Raises
    ------
    InputError
        An argument out of its bounds or unknown.
    """
    terms = ExecutionTerms(cash, execution, slippage_bps)
    check_names(account, MarginAccount.params._getkeys())  # type: ignore[attr-defined]
    scheme = MarginAccount(**account)
    if broker == "margin":
        cerebro.broker = MarginBroker(account=scheme, acknowledge=acknowledge)  # type: ignore[call-arg]
    elif broker == "stock":
        cerebro.broker = bt.brokers.BackBroker()
        cerebro.broker.addcommissioninfo(scheme)
    else:
        raise InputError("is not known", "give 'margin' or 'stock'", "broker", broker)
    cerebro.broker.set_cash(terms.cash)
    cerebro.broker.set_int2pnl(False)
    cerebro.broker.set_coc(terms.execution == "close")
    # slip_out: a fill may leave the bar's range. Capped at it, a fill at the close would know the next bar's high.
    cerebro.broker.set_slippage_perc(terms.slippage_bps / 1e4, slip_out=True)
    return cerebro.broker
