"""The commands, a module each: `add_flags(command)` says what can be given, `run(options, screen)` does it."""

__all__ = ["COMMANDS"]

COMMANDS = {
    "backtest": (
        "base and dynamic portfolio through a broker (the default command)",
        "Base and dynamic portfolio through Cerebro and a margin account.",
    ),
    "ladder": (
        "from the notebook's paper result to the account, one difference at a time",
        "Base and dynamic portfolio on every rung from the notebook to `backtest` with the same flags.",
    ),
    "audit": (
        "does a strategy read the future? it is run on others",
        "Change what comes after many sessions, and compare what was done by then. Exit status 1 if a decision depends "
        "on it (or on the mode of Cerebro, or on where the bars start), 0 if none does.",
    ),
    "sweep": (
        "many parameters, one judgement: what is best, and how much of it is luck",
        "Every point of a grid, or of a search, kept as it finishes; called again it goes on.",
    ),
    "walkforward": (
        "choose on the past, trade the next months, in one account",
        "What choosing from a grid would have earned, beside the best in hindsight.",
    ),
    "fetch": (
        "fill the cache of real prices, and show what is in it",
        "Fetch every symbol's history from Yahoo into the cache, as far as it is not there.",
    ),
    "check": (
        "look for what is wrong or odd with the prices of any source",
        "Check every symbol's bars as the source gives them. Exit status 1 if there is an error, 0 if not.",
    ),
}
"""Name -> its line in the list of commands, and what it does."""
