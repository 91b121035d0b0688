"""Readers for data sets, one module per data set, that yield images with label ids."""
