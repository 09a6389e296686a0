"""The command line, `python -m twolayer`."""

import sys

from twolayer.cli.app import run

if __name__ == "__main__":
    sys.exit(run())
