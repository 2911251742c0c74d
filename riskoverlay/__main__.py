"""`python -m riskoverlay` is the command `riskoverlay`."""

from riskoverlay.studies.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
