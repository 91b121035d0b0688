"""Blur the faces of a webcam and record it until Ctrl-C; any video can replace the camera.

python examples/webcam_blur.py [SOURCE] [OUTPUT.mkv]
"""

import sys

from rtseg import ViewSettings, process_video

if __name__ == "__main__":
    source = sys.argv[1] if len(sys.argv) > 1 else "0"
    output = sys.argv[2] if len(sys.argv) > 2 else "blurred.mkv"
    blur = ViewSettings(view="blur", classes=("face", "hair"))
    try:
        summary = process_video(source, output, view=blur)
    except KeyboardInterrupt:
        print(f"{output} is whole up to here")
    else:
        print(f"{summary.frames} frames in {output}")
