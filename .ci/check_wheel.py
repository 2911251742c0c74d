"""Check an installed wheel from a folder that has a `strategies` package of its own: check_wheel.py WHEEL FOLDER."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import check_commands

SCRIPT = """
import backtrader as bt

from riskoverlay.analyzers import AnnualizedSharpe, TradingCosts
from riskoverlay.feeds import load
from riskoverlay.strategies import OwnPosition, RiskParityBlend, VolTargetDrawdownSizer, open_account
from strategies import Hold  # this folder's own

cerebro = bt.Cerebro(stdstats=False)
for feed in load("sample", end="2011-12-30").feeds():
    cerebro.adddata(feed)
open_account(cerebro, cash=100_000.0)
cerebro.addstrategy(RiskParityBlend)
cerebro.addsizer_byidx(0, VolTargetDrawdownSizer, allocation=0.6)
cerebro.addstrategy(type("OwnHold", (OwnPosition, Hold), {}))
cerebro.addanalyzer(AnnualizedSharpe, _name="sharpe")
cerebro.addanalyzer(TradingCosts, _name="costs")
ours, other = cerebro.run()
assert other.held(other.datas[0]) == 10
assert ours.analyzers.costs.get_analysis()["orders"]["filled"] > 50
print("both strategies ran:", ours.analyzers.sharpe.get_analysis())
"""

OWN = """
import backtrader as bt


class Hold(bt.Strategy):
    def next(self):
        if not self.position:
            self.buy(size=10)
"""


def main(wheel: str, folder: str) -> None:
    """What the wheel holds, a script beside a stranger's package, and every command there."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"riskoverlay"}, tops
    rooms = {name.split("/")[1] for name in names if name.startswith("riskoverlay/") and name.count("/") > 1}
    assert rooms == {"strategies", "analyzers", "feeds", "studies"}, rooms
    assert {"riskoverlay/py.typed", "riskoverlay/studies/report/page.js", "riskoverlay/feeds/calibration.json"} <= {
        *names
    }
    place = Path(folder)
    (place / "strategies").mkdir(parents=True)
    (place / "strategies" / "__init__.py").write_text(OWN)
    (place / "script.py").write_text(SCRIPT)
    subprocess.run([sys.executable, "script.py"], cwd=place, check=True)
    check_commands.main([str(Path(sys.executable).parent / "riskoverlay")], place)
    check_commands.main([sys.executable, "-m", "riskoverlay"], place)


if __name__ == "__main__":
    main(*sys.argv[1:])
