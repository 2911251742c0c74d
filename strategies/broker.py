"""A broker with a margin account: true cash, a loan that is charged once a session, margin calls."""

import math
from typing import Any

import backtrader as bt

from riskoverlay.conventions import STALE_DAYS
from riskoverlay.errors import InputError

from .booking import ActionDesk
from .clock import ended
from .fast_orders import FastOrders
from .ledger import held_in
from .margin import MarginAccount
from .terms import FeedTerms, terms_of

__all__ = ["MarginBroker"]

_NO_COMMISSION = bt.brokers.BackBroker.params._getpairs()["commission"]
"""backtrader's default of the parameter `commission`: nobody has given one."""


class MarginBroker(FastOrders):
    """Backtrader's broker with the cash rules of a margin account.

    Where money is not short it is `BackBroker`, event by event. What differs:

    - Cash is true cash: negative is the loan. The stock broker keeps free margin at *cost* there, so that unrealised
      gains are no collateral and a levered portfolio that has grown is refused.
    - An order is accepted when, at the prices that decided it, what all positions must have to be opened stays within
      equity. Orders that only reduce are always accepted, also those that only reduce once their siblings are
      considered: of the exits of a bracket, and of the orders of an OCO group, one at most is filled. A refused order
      does not poison the batch. A fill is refused only when it would leave the account below maintenance margin.
    - Interest on the debit, by calendar days, once a session and for the account as a whole, in `d_credit["loan"]`.
      It never enters commissions, and fund value feels it.
    - Margin call: an account that closes a session below maintenance is cut to it, pro rata, at the next session's
      fill price (the last close, where a feed has no bar then), after the strategies' own orders. Cuts are orders of
      the strategy that holds the shares, with `order.info.margin_call` set.
    - A market order on a feed that has ended (`clock.ended`) fills at its last close: a delisted share is paid out.
      The stock broker keeps such an order for ever.
    - Feeds with lines `dividend` and `split` (`RawPanelFeed`) have prices as traded. On the ex-date, after fills at the
      close before and before the open, who is long receives the dividend in cash, less `withholding`, and who is short
      pays it; a split multiplies shares and open orders and divides their prices, and fractions of whole shares are
      cashed at the last close. Strategies and analyzers with a method `notify_action` hear of it: `CorporateAction`.

    A feed's own commission scheme is what backtrader documents: commission, `confirmexec`, `interest` on the position
    (beside the loan), `leverage` as the feed's own margin of 1/leverage. One with a `margin` is a contract: it is not
    paid for and nothing is lent on it; its margin is set aside from equity, and each close settles its profit in cash.

    Parameters
    ----------
    account : MarginAccount, optional
        Says what is charged (default: one with its defaults).
    commission : bt.CommInfoBase, optional
        Charged instead of the account's commission.
    acknowledge : bool
        See `FastOrders`.

    Raises
    ------
    InputError
        At the start of a run, a setting that a margin account cannot have: `shortcash=False`, a feed's own loan rate.
    """

    params = (("account", None),)  # type: ignore[assignment]  # backtrader adds them to the parent's

    pays_actions = True
    """Feeds of prices as traded ask for it: backtrader's own broker knows neither dividends nor splits."""

    def __init__(self) -> None:
        super().__init__()
        self.account = self.p.account if self.p.account is not None else MarginAccount()
        self.statement: Any = None  # a `Correction`: what is really held, on one session
        self.addcommissioninfo(self.account if self.p.commission is _NO_COMMISSION else self.p.commission)

    def init(self) -> None:
        """Start a run with an empty book."""
        super().init()
        self.cash: float
        self._fundshares: float
        self._fundval: float = self.p.fundstartval
        self._session = 0.0
        self._charged_to = 0
        self._clocks: list[Any] = []
        self._desk = ActionDesk(self)
        cerebro = getattr(self, "cerebro", None)
        self._waiting: list[Any] = list(cerebro.datas) if cerebro is not None else []
        self._called_on: float | None = None
        self._marks: dict[Any, float] = {}
        self._books: tuple[float, float] | None = None  # amid fills: equity, and what positions must have, at the marks
        self._gross = self._short_value = 0.0
        self._to_open = self._to_keep = self._set_aside = 0.0
        self._owned: dict[tuple[Any, Any], float] = {}
        self._terms: dict[Any, FeedTerms] = {}
        self._own_terms: dict[Any, FeedTerms] = {}  # those of them that are not the account's

    def start(self) -> None:
        """Begin a run.

        Raises
        ------
        InputError
            A setting that a margin account cannot have.
        """
        super().start()
        if not self.p.shortcash:
            raise InputError(
                "is not a margin account's: what a short sale brings is cash, and collateral",
                "leave it True, or use backtrader's BackBroker", "shortcash", self.p.shortcash,
            )  # fmt: skip
        for data in self._waiting:
            self._terms_of(data)

    # -- commission schemes --------------------------------------------------------------------------------------------

    def addcommissioninfo(self, comminfo: Any, name: str | None = None) -> None:
        """Set the scheme of a feed, or of all that have none; there, a `MarginAccount` is the account's from now on.

        Parameters
        ----------
        comminfo : bt.CommInfoBase
        name : str, optional
            Of the feed.
        """
        if name is None and isinstance(comminfo, MarginAccount):
            self.account = comminfo
        super().addcommissioninfo(comminfo, name=name)
        self._read_terms()

    def setcommission(self, *args: Any, **kwargs: Any) -> None:
        """Set the scheme of a feed, or of all that have none; margins and loan stay the account's.

        Parameters
        ----------
        *args, **kwargs
            As backtrader's.
        """
        super().setcommission(*args, **kwargs)
        self._read_terms()

    def _terms_of(self, data: Any) -> FeedTerms:
        terms = self._terms.get(data)
        if terms is None:
            terms = self._terms[data] = terms_of(data, self.getcommissioninfo(data), self.account)
            if terms.own:
                self._own_terms[data] = terms
        return terms

    def _read_terms(self) -> None:
        """Read the schemes again of the feeds whose schemes have been read."""
        known = list(self._terms)
        self._terms.clear()
        self._own_terms.clear()
        for data in known:
            self._terms_of(data)

    def margin_rate(self, data: Any, price: float) -> float:
        """Equity that opening a position in a feed takes, per unit of its value.

        Parameters
        ----------
        data : feed
        price : float

        Returns
        -------
        float
            A fraction.
        """
        terms = self._terms_of(data)
        return terms.to_open(1.0, price) / (price * terms.point) if terms.contract else terms.initial

    # -- value ---------------------------------------------------------------------------------------------------------

    def get_cash(self) -> float:
        """Cash that is not set aside as margin of contracts; negative: the loan.

        Returns
        -------
        float
            Money.
        """
        return self.cash - self._set_aside

    getcash = get_cash

    def _get_value(self, datas: Any = None, lever: bool = False) -> float:
        while self._cash_addition:
            money = self._cash_addition.popleft()
            self._fundshares += money / self._fundval
            self.cash += money
        if datas is not None:
            return sum(self._terms_of(d).scheme.getvaluesize(self.positions[d].size, d.close[0]) for d in datas)
        longs = shorts = 0.0
        contracts = margins = to_open = to_keep = 0.0
        terms, own_terms = self.account.terms, self._own_terms
        self._marks = marks = {}
        self._books = None
        for data, position in self.positions.items():
            size = position.size
            if size:
                price = marks[data] = data.close[0]
                if own_terms and (own := own_terms.get(data)) is not None:
                    to_open, to_keep = to_open + own.to_open(size, price), to_keep + own.to_keep(size, price)
                    if own.contract:
                        contracts += abs(size) * price * own.point
                        margins += own.to_open(size, price)
                        continue
                    # What the account's own margins would ask of it is asked below, of all shares.
                    to_open -= abs(size) * price * terms.initial_margin
                    to_keep -= abs(size) * price * terms.maintenance_margin
                if size > 0:
                    longs += size * price
                else:
                    shorts += size * price
        gross = longs - shorts
        self._short_value = shorts
        self._to_open = gross * terms.initial_margin + to_open
        self._to_keep = gross * terms.maintenance_margin + to_keep
        self._set_aside = margins
        self._valuemkt = self._valuemktlever = longs + shorts + margins
        if self._fundhist:
            self._fundval, value = self._process_fund_history()
            self.cash, self._fundshares = value - (longs + shorts), value / self._fundval
        self._value = self._valuelever = self.cash + longs + shorts
        if not self._fundhist:
            self._fundval = self._value / self._fundshares
        self._leverage = (gross + contracts) / self._value if self._value > 0 else math.inf
        return self._value

    # -- orders --------------------------------------------------------------------------------------------------------

    def check_submitted(self) -> None:
        """Accept the orders that the margins allow at the prices that decided them, in the order sent."""
        equity, needed = self._value, self._to_open
        sizes: dict[Any, float] = {}
        # Of an OCO group one at most is filled: each is judged by what there was before the first of them.
        before_group: dict[tuple[int, Any], tuple[float, float]] = {}
        while self.submitted:
            order = self.submitted.popleft()
            if self._take_children(order) is None:
                continue
            market, data = order.exectype == order.Market, held_in(order)
            price = order.data.open[0] if market and self.p.coo else order.created.price  # the close is not known yet
            terms, held = self._terms_of(data), sizes.get(data, self.positions[data].size)
            before, held = before_group.setdefault((self._ocos[order.ref], data), (needed, held))
            after = before + terms.to_open(held + order.size, price) - terms.to_open(held, price)
            if after > before and after > equity * (1 + 1e-9):
                self._refuse(order)
                continue
            # What may be filled and reduces, may also not be filled: it makes no room for the orders behind it.
            if after > needed or market or order.exectype == order.Close:
                needed, sizes[data] = after, held + order.size
            self.submit_accept(order)

    def _refuse(self, order: Any) -> None:
        order.margin()
        self.notify(order)
        self._ococheck(order)
        self._bracketize(order, cancel=True)

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
        size = order.executed.remsize
        if self.p.filler is not None:
            size = self.p.filler(order, price, ago) * (1 if size > 0 else -1)
        if not size:
            return
        data = held_in(order)
        terms, position = self._terms.get(order.data) or self._terms_of(order.data), self.positions[data]
        scheme, held = terms.scheme, position.size
        closed = 0 if held * size >= 0.0 else size if abs(size) <= abs(held) else -held
        opened = size - closed
        # Ours is one fee an order; other schemes are asked for its two parts, as backtrader does.
        if isinstance(scheme, MarginAccount):
            fee = scheme.getcommission(size, price)
            fee_closed, fee_opened = fee * abs(closed / size), fee * abs(opened / size)
        else:
            fee_closed = scheme.getcommission(closed, price) if closed else 0.0
            fee_opened = self._terms_of(data).scheme.getcommission(opened, price) if opened else 0.0
            fee = fee_closed + fee_opened
        if abs(held + size) > abs(held) and not self._can_hold(data, size, price, fee):
            self._refuse(order)
            return

        if self._books is not None:
            equity, needed = self._books
            mark = self._marks.setdefault(data, price)
            more = terms.to_keep(held + size, mark) - terms.to_keep(held, mark)
            self._books = equity + size * (mark - price) * terms.point - fee, needed + more
        cost = position.price
        profit = scheme.profitandloss(-closed, cost, price) if closed else 0.0
        worth_closed = scheme.getvaluesize(-closed, cost) if closed else 0.0
        worth_opened = scheme.getvaluesize(opened, price) if opened else 0.0
        if terms.contract:
            self.cash += terms.worth(position, price) - fee  # settled to here; from here on all of it is one
        else:
            # Backtrader's order of operations: `order_target_*` floors what the last digit of cash decides.
            if closed:
                self.cash += worth_closed + profit
                self.cash -= fee_closed
            if opened:
                self.cash -= worth_opened
                self.cash -= fee_opened
        psize, pprice, _, _ = position.update(size, price, self._moment(data))
        if terms.contract:
            position.adjbase = price
        owner = (order.owner, data)
        self._owned[owner] = self._owned.get(owner, 0.0) + size
        if terms.own or type(scheme) is not MarginAccount:
            scheme.confirmexec(size, price)
        if closed and self.p.int2pnl:
            fee_closed += self.d_credit.pop(data, 0.0)
        order.execute(
            dtcoc or data.datetime[ago], size, price,
            closed, worth_closed, fee_closed,
            opened, worth_opened, fee_opened,
            scheme.margin, profit, psize, pprice,
        )  # fmt: skip
        order.addcomminfo(scheme)
        self.notify(order)
        self._ococheck(order)

    def _try_exec(self, order: Any) -> None:
        data = order.data
        if order.exectype != order.Market:
            super()._try_exec(order)
        elif self._session - data.datetime[0] > STALE_DAYS and ended(data, self._session):
            self._fill_at(order, data.close[0])
        elif self.p.coc and self.p.slip_out and order.info.get("coc", True):
            self._try_exec_market(order, math.nan, math.nan, math.nan)  # needs no price of this bar
        else:
            super()._try_exec(order)

    def _fill_at(self, order: Any, reference: float) -> None:
        """Fill a market order at a price of our own, after slippage; analyzers find the price in its info."""
        order.addinfo(reference=reference)
        price = reference * (1.0 + math.copysign(self.p.slip_perc, order.size))
        self._execute(order, ago=0, price=price, dtcoc=self._session)

    def _can_hold(self, data: Any, size: float, price: float, fee: float) -> bool:
        """Whether a fill leaves the account at maintenance margin or above: this feed at the fill's price, the others
        at their last closes."""
        if self._books is None:
            held = [(self._terms_of(d), p, self._marks.get(d, p.price)) for d, p in self.positions.items() if p.size]
            equity = self.cash + sum([terms.worth(position, mark) for terms, position, mark in held])
            self._books = equity, sum([terms.to_keep(position.size, mark) for terms, position, mark in held])
        equity, needed = self._books
        terms, position = self._terms_of(data), self.positions[data]
        mark = self._marks.get(data, position.price)
        equity += position.size * (price - mark) * terms.point - fee
        needed += terms.to_keep(position.size + size, price) - terms.to_keep(position.size, mark)
        return needed <= equity * (1 + 1e-9)

    # -- the session ---------------------------------------------------------------------------------------------------

    def next(self) -> None:
        """One session: accept, charge the night's interest, fill, meet a margin call, settle, value."""
        self._session = self._latest()
        while self._toactivate:
            self._toactivate.popleft().activate()
        if self.submitted:
            self.check_submitted()
        if self._own_terms:
            self._charge_schemes()
        # Fills at the close that decided them (coc) belong to the evening before the night that is charged.
        if not self.p.coc:
            self._charge_interest()
        if self._userhist:
            self._process_order_history()
        if self._desk.feeds:
            self._desk.book()
        if self.pending:
            self._fill_pending()
        self._meet_call()
        if self.p.coc:
            self._charge_interest()
        if self._own_terms:
            self._settle()
        if self.statement is not None:
            self.statement.take(self)
        self._get_value()
        self._called_on = self._session if self._to_keep > max(self._value * (1 + 1e-9), 0.0) else None

    def _latest(self) -> float:
        """Date number of this session: the latest bar of any feed that has begun; 0 before there is one."""
        if self._waiting:
            # A preloaded feed that has not begun would show its last bar: backtrader's lines wrap around.
            begun = [data for data in self._waiting if len(data)]
            self._clocks += [data.datetime for data in begun]
            self._desk.watch(begun)
            self._waiting = [data for data in self._waiting if not len(data)]
            if not self._clocks:
                return 0.0
        first = self._clocks[0][0]
        # Feeds advance to one moment together: if the first has moved, it is there.
        return first if first > self._session else max([clock[0] for clock in self._clocks])

    def _fill_pending(self, *, at_close: bool = False) -> None:
        """Try every order that waits, or those only that are filled at the close before this session."""
        # The mark ends the round: what is filled or expires takes its siblings out of the queue.
        self.pending.append(None)
        while (order := self.pending.popleft()) is not None:
            if at_close and not (order.exectype == order.Market and order.active() and order.info.get("coc", True)):
                self.pending.append(order)
            elif order.expire():
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

    def _charge_schemes(self) -> None:
        """Interest that a feed's own scheme asks for the position in it, beside the loan."""
        for data, terms in self._own_terms.items():
            position = self.positions.get(data)
            if position is not None and position.size and not isinstance(terms.scheme, MarginAccount):
                now = data.datetime.datetime()
                interest = terms.scheme.get_credit_interest(data, position, now)
                self.d_credit[data] += interest
                self.cash -= interest
                position.datetime = now

    def _charge_interest(self) -> None:
        """Take the interest of the nights since the last session; the debit has not moved since its fills."""
        start, day = self._charged_to, int(self._session)
        self._charged_to = day
        if not start or day <= start:
            return
        debit, shorts = -self.cash, -self._short_value
        if shorts:
            debit += shorts  # short proceeds are collateral: they neither pay the loan nor earn
        if debit or shorts:
            interest = self.account.interest(debit, start, day, shorts)
            self.d_credit["loan"] += interest
            self.cash -= interest

    def _settle(self) -> None:
        """Pay the profit of contracts since the last settlement, at the close, into cash or out of it."""
        for data, terms in self._own_terms.items():
            position = self.positions.get(data)
            if terms.contract and position is not None and position.size:
                close = data.close[0]
                self.cash += terms.worth(position, close)
                position.adjbase = close

    def _meet_call(self) -> None:
        if self._called_on is not None:
            self._cut_to_maintenance(self._called_on)
            self._called_on = None

    def _cut_to_maintenance(self, called_on: float) -> None:
        """Sell (or buy back) the same part of every position, at this session's fill price, until the call is met."""
        marks = {}
        needed = excess = 0.0
        equity = self.cash
        for data, position in self.positions.items():
            if position.size:
                # A feed without a bar since the call shows an open of before it.
                fresh = not self.p.coc and data.datetime[0] > called_on
                price = marks[data] = data.open[0] if fresh else self._marks.get(data, position.price)
                terms = self._terms_of(data)
                value = abs(position.size) * price * terms.point
                fee = terms.scheme.getcommission(position.size, price)
                required = terms.to_keep(position.size, price)
                equity += terms.worth(position, price)
                needed += required
                excess += required - value * self.p.slip_perc - fee
        if needed <= equity * (1 + 1e-9):
            return
        part = 1.0 if excess <= 0 else min(1.0, (needed - equity) / excess)
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
