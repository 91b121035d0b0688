"""The pipeline that runs source, segmenter and sink on threads."""
