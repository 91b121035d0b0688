"""Measurements of speed: run by hand, never asserted in a test."""
