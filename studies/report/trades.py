"""The list of trades: a form and an empty table that page.js fills."""

from collections.abc import Sequence

from .markup import escape

__all__ = ["trades"]

HEAD = ("date", "side", "symbol", "shares", "price", "value", "commission", "slippage")


def trades(names: Sequence[str], symbols: Sequence[str]) -> str:
    """The filter, the table and its buttons.

    Parameters
    ----------
    names : sequence of str
        Of the accounts, that shown first first.
    symbols : sequence of str

    Returns
    -------
    str
    """
    accounts = "".join(f"<option>{escape(name)}</option>" for name in names)
    options = "".join(f'<option value="{escape(s)}">{escape(s)}</option>' for s in symbols)
    titles = "".join(f'<th scope="col"{" class=text" if i < 3 else ""}>{title}</th>' for i, title in enumerate(HEAD))
    return (
        f'<form id="trade-filter"><select name="account" aria-label="account">{accounts}</select>'
        f'<select name="symbol" aria-label="symbol"><option value="">all symbols</option>{options}</select>'
        '<span class="soft" id="trade-count" role="status"></span><span class="pager">'
        '<button type="button" name="newer">newer</button><button type="button" name="older">older</button>'
        '<button type="button" name="save">save as CSV</button></span></form>'
        f'<div class="scroll"><table id="trade-table" class="wide"><thead><tr>{titles}</tr></thead>'
        "<tbody></tbody></table></div>"
        "<noscript><p>Charts and trades need JavaScript.</p></noscript>"
    )
