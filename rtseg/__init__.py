"""rtseg: real-time face-part segmentation of cameras and videos."""
