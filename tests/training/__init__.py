"""training/: data sets, losses, views, the loop and the commands."""
