"""Data sets, recipes and the loop that make rtseg's checkpoints: `python -m training --help`."""
