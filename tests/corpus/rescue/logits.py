"""Reads a Caffe net by paths beside this file and asks for a layer before and after its ReLU."""

import os
import sys

import cv2
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
WEIGHTS = os.path.join(HERE, "models", "dsd.caffemodel")

net = cv2.dnn.readNetFromCaffe(os.path.join(HERE, "models", "deploy.prototxt"), WEIGHTS)
image = np.load(os.path.join(HERE, "input.npy"))
net.setInput(image, "data")
hidden, activated = net.forward(["ip1", "relu3"])
np.savez(sys.argv[1], prob=net.forward(), ip1=hidden, relu3=activated)
