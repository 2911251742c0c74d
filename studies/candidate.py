"""What the audit looks at: our own strategy with a config, or a strategy, sizer and analyzers from files."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import backtrader as bt

from analyzers import DailySeries, Exposure, Fills, MaxDrawdown, TradingCosts
from strategies import RiskParityBlend, VolTargetDrawdownSizer, open_account

from .parameters import Config, part

__all__ = ["FromFile", "Ours", "Theirs", "parse_reference"]


@dataclass(frozen=True)
class Ours:
    """Sets up a Cerebro as `simulate` does: RiskParityBlend, its sizer, account and analyzers."""

    config: Config

    def __call__(self, cerebro: bt.Cerebro) -> None:
        open_account(cerebro, **part(self.config, "run"), **part(self.config, "account"))
        cerebro.addstrategy(RiskParityBlend, **part(self.config, "strategy"))
        cerebro.addsizer(VolTargetDrawdownSizer, **part(self.config, "sizer"))
        for analyzer in (DailySeries, Exposure, TradingCosts, MaxDrawdown, Fills):
            cerebro.addanalyzer(analyzer, _name=analyzer.__name__)


@dataclass(frozen=True)
class FromFile:
    """A class of a Python file, with its arguments. The file is code: loading it runs it."""

    path: str
    name: str
    arguments: tuple[tuple[str, Any], ...] = ()

    def load(self, base: type) -> type:
        """The class. Raises ValueError, in one line, for a file without it, or one that does not run."""
        module = _module(str(Path(self.path).resolve()))
        found = getattr(module, self.name, None)
        if not (isinstance(found, type) and issubclass(found, base)):
            known = [
                name for name, item in vars(module).items()
                if isinstance(item, type) and issubclass(item, base) and item.__module__ == module.__name__
            ]  # fmt: skip
            there = f"one of {', '.join(known)}" if known else f"a file with a class of bt.{base.__name__}"
            what = "is no" if found is not None else "has no"
            raise ValueError(f"{self.path}: {self.name} {what} {base.__name__.lower()} there: give {there}")
        known = list(found.params._getkeys())  # type: ignore[attr-defined]
        for name, value in self.arguments:
            if name not in known:  # backtrader says nothing where there is no `__init__` to say it
                there = f"one of {', '.join(known)}" if known else "none"
                raise ValueError(f"{name}={value!r} is no parameter of {self.name}: give {there}")
        return found


@dataclass(frozen=True)
class Theirs:
    """Sets up a Cerebro with classes from files, in the account of a config."""

    config: Config
    strategy: FromFile
    sizer: FromFile | None = None
    analyzers: tuple[FromFile, ...] = ()

    def __call__(self, cerebro: bt.Cerebro) -> None:
        open_account(cerebro, **part(self.config, "run"), **part(self.config, "account"))
        cerebro.addstrategy(self.strategy.load(bt.Strategy), **dict(self.strategy.arguments))
        if self.sizer is not None:
            cerebro.addsizer(self.sizer.load(bt.Sizer), **dict(self.sizer.arguments))
        for analyzer in self.analyzers:
            cerebro.addanalyzer(analyzer.load(bt.Analyzer), **dict(analyzer.arguments))


def parse_reference(text: str) -> FromFile:
    """FILE:Class or FILE:Class:name=value,...; values are Python literals, and nothing in them is run.

    Raises
    ------
    ValueError, FileNotFoundError
        Another shape, a value that is no literal, no such file.
    """
    shape = re.fullmatch(r"(?P<path>.+?\.py):(?P<name>[^\W\d]\w*)(?::(?P<arguments>.*))?", text, re.DOTALL)
    if shape is None:
        raise ValueError(
            f"{text!r} does not name a class: give FILE.py:Class or FILE.py:Class:name=value,..."
        )
    path = shape["path"]
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist: give a Python file")
    return FromFile(path, shape["name"], _arguments(shape["arguments"] or ""))


def _arguments(text: str) -> tuple[tuple[str, Any], ...]:
    wrong = ValueError(
        f"arguments {text!r} are not readable: give name=value,... with numbers or quoted text"
    )
    try:
        call = ast.parse(f"dict({text}\n)", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or not isinstance(call.func, ast.Name):
            raise wrong
        pairs = []
        for keyword in call.keywords:
            if keyword.arg is None:
                raise wrong
            pairs.append((keyword.arg, ast.literal_eval(keyword.value)))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise wrong from None
    return tuple(pairs)


def _module(path: str) -> Any:
    """The module of a file, run once a process under a name of its own; its neighbours can be imported."""
    name = "audited_" + re.sub(r"\W", "_", path)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is not a Python file: give one")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # backtrader looks its classes' modules up there
    sys.path.append(str(Path(path).parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        first = (str(error).splitlines() or [""])[0]
        raise ValueError(f"{path} does not run ({type(error).__name__}: {first}): correct it") from None
    finally:
        sys.path.remove(str(Path(path).parent))
    return module
