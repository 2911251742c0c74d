"""What one feed's commission scheme says: what a point of price is worth, and how much equity a position must have."""

from typing import Any, NamedTuple

from riskoverlay.errors import InputError
from riskoverlay.notes import name_of

from .margin import MarginAccount
from .rules import AccountTerms

__all__ = ["FeedTerms", "margin_rate", "point_value", "terms_of"]


class FeedTerms(NamedTuple):
    """A feed's scheme as a margin account reads it.

    Attributes
    ----------
    scheme : bt.CommInfoBase
        Commission, and backtrader's values of a position.
    point : float
        Money that one point of price makes on one unit: 1 for shares, the multiplier for a contract.
    contract : bool
        Futures-like: not paid for but margined, and settled in cash at each close.
    initial, maintenance : float
        Fractions of a share's value that must be equity when it is opened, and after; not read for contracts, whose
        scheme names money.
    own : bool
        Whether the scheme is another than the account's.
    """

    scheme: Any
    point: float
    contract: bool
    initial: float
    maintenance: float
    own: bool

    def to_open(self, size: float, price: float) -> float:
        """Equity that a position must have when it is opened.

        Parameters
        ----------
        size : float
            Shares or contracts, either sign.
        price : float

        Returns
        -------
        float
            Money.
        """
        return abs(size) * (self.scheme.get_margin(price) if self.contract else price * self.initial)

    def to_keep(self, size: float, price: float) -> float:
        """Equity that a position must have as long as it is held: of a contract as much as to open it.

        Parameters
        ----------
        size : float
            Shares or contracts, either sign.
        price : float

        Returns
        -------
        float
            Money.
        """
        return abs(size) * (self.scheme.get_margin(price) if self.contract else price * self.maintenance)

    def worth(self, position: Any, price: float) -> float:
        """What a position adds to cash: its value, or what of a contract's profit is not settled yet.

        Parameters
        ----------
        position : bt.Position
        price : float

        Returns
        -------
        float
            Money.
        """
        if self.contract:
            return float(position.size * (price - position.adjbase) * self.point) if position.size else 0.0
        return float(position.size * price)


def point_value(data: Any, scheme: Any) -> float:
    """Money that one point of price makes on one unit of a feed.

    Parameters
    ----------
    data : feed
    scheme : bt.CommInfoBase
        The feed's.

    Returns
    -------
    float
        1 for a stock-like scheme, `mult` for a futures-like one.

    Raises
    ------
    InputError
        A multiplier that is not positive.
    """
    if scheme.stocklike:
        return 1.0
    mult = float(scheme.p.mult)
    if not mult > 0.0:
        raise InputError(
            f"the contract of feed {name_of(data)} makes no money by its price",
            "give setcommission a multiplier > 0", "mult", mult,
        )  # fmt: skip
    return mult


def margin_rate(data: Any, scheme: Any, price: float) -> float:
    """Equity that opening a position takes, per unit of its value, as a scheme by itself says it.

    Parameters
    ----------
    data : feed
    scheme : bt.CommInfoBase
        The feed's.
    price : float

    Returns
    -------
    float
        A fraction: the margin over price × multiplier for a contract, `initial_margin` of a `MarginAccount`,
        1/leverage of any other scheme.
    """
    if not scheme.stocklike:
        return float(scheme.get_margin(price) / (price * point_value(data, scheme)))
    return 1.0 / float(getattr(scheme, "max_leverage", scheme.get_leverage()))


def terms_of(data: Any, scheme: Any, account: MarginAccount) -> FeedTerms:
    """How a margin account reads the scheme of a feed.

    A `MarginAccount` brings margins of its own. Any other stock-like scheme that names a leverage has 1/leverage to
    open, and no more than that to keep; one that names none (backtrader's default is 1) has the account's margins.

    Parameters
    ----------
    data : feed
    scheme : bt.CommInfoBase
        The feed's.
    account : MarginAccount
        The account's.

    Returns
    -------
    FeedTerms

    Raises
    ------
    InputError
        A `MarginAccount` whose loan has another rate than the account's; a multiplier that is not positive.
    """
    of_account, leverage = account.terms, scheme.get_leverage()
    initial, maintenance = of_account.initial_margin, of_account.maintenance_margin
    if isinstance(scheme, MarginAccount):
        initial, maintenance = scheme.terms.initial_margin, scheme.terms.maintenance_margin
        for name in ("borrow_rate", "cash_rate", "financing"):
            rate, charged = getattr(scheme.terms, name), getattr(of_account, name)
            numbers = [known for known in (charged, getattr(AccountTerms, name)) if isinstance(known, (int, float))]
            if rate is not None and rate is not charged and not (isinstance(rate, (int, float)) and rate in numbers):
                raise InputError(
                    f"of feed {name_of(data)}: the loan is the account's, not a feed's",
                    f"give {name} to open_account", name, rate,
                )  # fmt: skip
    elif leverage != 1.0:
        initial = 1.0 / leverage
        maintenance = min(maintenance, initial)
    return FeedTerms(
        scheme, point_value(data, scheme), not scheme.stocklike, initial, maintenance, scheme is not account
    )
