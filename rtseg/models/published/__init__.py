"""Published architectures, one a file."""
