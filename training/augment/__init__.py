"""Make training views: transforms of labelled pictures, composites and scenes."""
