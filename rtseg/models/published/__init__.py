"""Published architectures, one per file."""
