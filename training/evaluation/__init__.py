"""Evaluate models: metrics, tables, plots, robustness."""
