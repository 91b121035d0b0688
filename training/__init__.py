"""Data sets, recipes and the trainer for rtseg's checkpoints: `python -m training --help`."""
