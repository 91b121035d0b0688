"""What rtseg asks of the operating system: files, caches, threads, devices."""
