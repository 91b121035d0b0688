"""Measurements of speed, run by hand and never asserted in a test."""
