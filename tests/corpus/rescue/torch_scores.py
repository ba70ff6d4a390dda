"""Reads a Torch7 net through names that were imported alone."""

import sys
from cv2.dnn import readNetFromTorch as read_net
from pathlib import Path

import numpy as np


def main(out: str) -> None:
    folder = Path(__file__).resolve().parent
    net = read_net(str(folder / "models" / "dsd.t7"))
    net.setInput(np.load(folder / "input.npy"))
    np.savez(out, scores=net.forward())


if __name__ == "__main__":
    main(sys.argv[1])
