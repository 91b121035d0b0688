"""The first half hour on an NVIDIA GPU: `make gpu-check`, or `python -m tests.gpu_check -o FOLDER`.

__main__.py  runs the steps one after the other, each with a time limit
steps.py     implements the steps, each in its own process
"""
