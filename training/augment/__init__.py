"""Training views: transforms of labelled pictures, composites, scenes."""
