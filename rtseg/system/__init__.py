"""The machine underneath: files, threads, the processor, NVIDIA's driver."""
