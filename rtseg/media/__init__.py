"""Properties of video files and streams: colour, orientation, length, URLs."""
