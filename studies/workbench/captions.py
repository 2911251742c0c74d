"""What stands above or below a table: what the account charges, and what results are measured against."""

from .parameters import Config
from .rates import rate_in_words

__all__ = ["NOTEBOOK_RATIO", "costs_in_words", "risk_free_in_words"]

NOTEBOOK_RATIO = "((1 + mean)^252 − 1) / volatility"
"""The ratio that the notebook prints, as a formula to print."""


def costs_in_words(config: Config) -> str:
    """What the account charges, in one line.

    Parameters
    ----------
    config : Config
        With the rates that `auto` came to.

    Returns
    -------
    str
    """
    commission = f"{config['commission_bps']:g} bps"
    if config["commission_per_share"]:
        commission += f" + {config['commission_per_share']:g} a share"
    if config["commission_min"]:
        commission += f" (at least {config['commission_min']:g})"
    loan, cash = (rate_in_words(config[name]) for name in ("borrow_rate", "cash_rate"))
    return (
        f"Loans at {loan} a year, idle cash at {cash}, commission {commission}, slippage {config['slippage_bps']:g} bps"
    )


def risk_free_in_words(config: Config) -> str:
    """What the Sharpe ratio is over.

    Parameters
    ----------
    config : Config
        With the rate that `auto` came to.

    Returns
    -------
    str
    """
    rate = config["risk_free"]
    if isinstance(rate, str):
        return f"Sharpe ratio over {'T-bills' if rate == 'irx' else rate_in_words(rate)}"
    return f"Sharpe ratio over {100 * rate:g} % a year" if rate else "Sharpe ratio over 0"
