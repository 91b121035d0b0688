"""Operating system services: files, caches, threads, devices."""
