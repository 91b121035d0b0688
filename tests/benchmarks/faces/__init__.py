"""Faces found, followed and steady, in numbers: `python -m tests.benchmarks.faces --data DIR`.

One file a table. Everything is measured through `Segmenter`, on composites of validation heads
over held-out backgrounds (their truth is known) and on the clips; where nothing else is said,
at 1280x720 and 30 frames a second, from fixed seeds.
"""
