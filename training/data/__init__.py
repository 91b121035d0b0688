"""One file per data set: its own layout in, (image, label ids) out."""
