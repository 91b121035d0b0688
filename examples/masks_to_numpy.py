"""Write the label ids of every frame as one NumPy array, with each frame's time.

python examples/masks_to_numpy.py INPUT OUTPUT.npz
"""

import sys

import numpy as np

from rtseg import stream

if __name__ == "__main__":
    source, output = sys.argv[1:]
    labels, seconds = [], []
    for frame, segmentation in stream(source):
        labels.append(segmentation.labels)
        seconds.append(float(frame.pts_seconds))
    np.savez_compressed(output, labels=np.stack(labels), seconds=np.array(seconds))
