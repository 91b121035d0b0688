"""Measure finding, following and smoothing: `python -m tests.benchmarks.faces --data DIR`.

One module per table. Everything is measured through `Segmenter`, on composites of validation heads
over held-out backgrounds (whose true labels are known) and on clips; unless stated otherwise at
1280x720 and 30 frames a second, from fixed seeds.
"""
