"""Prepares an image with blobFromImage and reads the net with readNet, weights first."""

import sys

import cv2 as cv
import numpy as np

name = "sparse"
net = cv.dnn.readNet(f"models/{name}.caffemodel", "models/deploy.prototxt", "caffe")
image = np.arange(40 * 40 * 3, dtype=np.uint32).reshape(40, 40, 3) * 7 % 256
blob = cv.dnn.blobFromImage(image.astype(np.uint8), 1 / 64, (32, 32), (127, 127, 127), swapRB=True)
net.setInput(blob)
np.savez(sys.argv[1], prob=net.forward("prob"), conv1=net.forward("conv1"))
