#!/usr/bin/env python3
"""A door: `python run.py` is the command `riskoverlay`; `btrun --strategy run.py:RiskParityBlend` finds the classes."""

import sys
from pathlib import Path

if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))

from riskoverlay.analyzers import *  # noqa: F403
from riskoverlay.feeds import *  # noqa: F403
from riskoverlay.strategies import *  # noqa: F403
from riskoverlay.studies.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
