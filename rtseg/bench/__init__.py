"""Benchmarks of the whole pipeline and of every backend."""
