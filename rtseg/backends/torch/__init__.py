"""The PyTorch backend, for processors and NVIDIA GPUs."""
