"""Many live streams in one process through one network: visitors' cameras, or any sources."""
