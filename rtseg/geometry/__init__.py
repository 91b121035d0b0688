"""Geometry of crops, letterboxing and resampling."""
