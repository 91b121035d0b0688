"""What is known of video files and streams: colour, rotation, length, names."""
