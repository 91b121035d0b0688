"""Measuring a model: scores, tables, pictures, robustness."""
