"""`python -m training`: list, show, check, fit, evaluate, predict."""

from __future__ import annotations

import sys

import click

from rtseg.errors import RtsegError
from training.cli import main

if __name__ == "__main__":
    try:
        main()
    except RtsegError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
