"""Fakes of hardware libraries, for control flow only, with no more API than the real ones."""
