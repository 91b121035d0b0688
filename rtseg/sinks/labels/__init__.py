"""Label ids as data, without loss."""
