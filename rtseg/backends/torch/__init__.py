"""PyTorch as a backend: on a processor, and on an NVIDIA GPU."""
