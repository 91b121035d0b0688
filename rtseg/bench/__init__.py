"""Benchmarks: the whole pipeline, and every backend beside the others."""
