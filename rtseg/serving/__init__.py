"""Many live streams in one process, through one network: cameras of visitors, or any others."""
