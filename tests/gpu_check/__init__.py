"""The first half hour on an NVIDIA GPU: `make gpu-check`, or `python -m tests.gpu_check -o FOLDER`.

__main__.py  runs the steps one after the other, each with a time limit of its own
steps.py     what each step does, in a process of its own
"""
