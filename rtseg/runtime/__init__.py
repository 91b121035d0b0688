"""The pipeline and its threads."""
