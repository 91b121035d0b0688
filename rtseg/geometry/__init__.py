"""Crops of pictures, and positions on their grids."""
