"""Network architectures of published projects, one per file."""
