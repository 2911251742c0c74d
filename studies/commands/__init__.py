"""The commands, a module each: `add_flags(command)` says what can be given, `run(options, screen)` does it."""

__all__ = ["COMMANDS"]

COMMANDS: dict[str, tuple[str, str, tuple[str, str]]] = {
    "backtest": (
        "base and dynamic portfolio through a broker (the default command)",
        "Base and dynamic portfolio through Cerebro and a margin account.",
        (
            "riskoverlay backtest --target-vol 0.10 --html report.html",
            "riskoverlay backtest --source csv --data-dir prices --symbols SPY,TLT,GLD --confidence",
        ),
    ),
    "ladder": (
        "from the notebook's paper result to the account, one difference at a time",
        "Base and dynamic portfolio on every rung from the notebook to `backtest` with the same flags.",
        ("riskoverlay ladder --png ladder.png", "riskoverlay ladder --source yahoo --lev-band 0.2 --json ladder.json"),
    ),
    "financing": (
        "the same strategy under every way to pay for its loan",
        "Base, constant and dynamic with the loan as given, and with every preset: broker, box spread, futures, funds; "
        "and the spread at which dynamic is worth no more than base.",
        (
            "riskoverlay financing --html financing.html",
            "riskoverlay financing --source csv --data-dir prices --financing my_broker.toml",
        ),
    ),
    "today": (
        "what to trade tomorrow: the orders of an account for the next open",
        "After the close: what an account holds, what it should hold, and what is to be sent. Exit status 10 if there "
        "are orders, 0 if there is nothing to do.",
        (
            "riskoverlay today --account my.json --source yahoo --positions broker.csv --balance 12345",
            "riskoverlay today --account paper.json --paper --source yahoo",
        ),
    ),
    "report": (
        "the page of an account, beside the backtest of the same dates",
        "What an account of `today` did, the tracking difference to the backtest, and the fills that differ.",
        ("riskoverlay report --account my.json", "riskoverlay report --account paper.json --html paper.html"),
    ),
    "audit": (
        "does a strategy read the future? it is run on others",
        "Change what comes after many sessions, and compare what was done by then. Exit status 1 if a decision depends "
        "on it (or on the mode of Cerebro, or on where the bars start), 0 if none does.",
        (
            "riskoverlay audit --cuts 20",
            "riskoverlay audit --strategy mine.py:Mine:period=20 --symbols SPY --json audit.json",
        ),
    ),
    "sweep": (
        "many parameters, one judgement: what is best, and how much of it is luck",
        "Every point of a grid, or some of it, kept as they finish; called again it goes on, and a grid that has "
        "grown takes what is there.",
        (
            "riskoverlay sweep --grid target_vol=0.08,0.10,0.12 --grid dd_threshold1=0.05:0.20:0.05 --png sweep.png",
            "riskoverlay sweep --grid target_vol=0.05:0.30 --grid lev_max=1:2 --trials 32 --storage drawn.db",
        ),
    ),
    "walkforward": (
        "choose on the past, trade the next months, in one account",
        "What choosing from a grid would have earned, beside the best in hindsight.",
        (
            "riskoverlay walkforward --grid target_vol=0.08,0.10,0.12 --train 36 --test 12",
            "riskoverlay walkforward --grid cov_lookback=126,252 --expanding --storage sweep.db --png walk.png",
        ),
    ),
    "fetch": (
        "fill the cache of real prices, and show what is in it",
        "Fetch every symbol's history from Yahoo into the cache, as far as it is not there.",
        ("riskoverlay fetch --symbols SPY,TLT,GLD", "riskoverlay fetch --offline --cache-dir prices"),
    ),
    "check": (
        "look for what is wrong or odd with the prices of any source",
        "Check every symbol's bars as the source gives them. Exit status 1 if there is an error, 0 if not.",
        (
            "riskoverlay check --source csv --data-dir prices --symbols SPY,TLT,GLD",
            "riskoverlay check --source yahoo --start 2015-01-01 --json findings.json",
        ),
    ),
}
"""Name -> its line in the list of commands, what it does, and two examples."""
