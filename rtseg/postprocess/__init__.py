"""From low-resolution probabilities to what is handed out at the frame's size."""
