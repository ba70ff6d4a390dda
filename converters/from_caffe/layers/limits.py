"""Limits of Caffe's own types that several layers meet."""

from __future__ import annotations

import numpy as np

# FLT_MAX of C. Caffe starts the search for a maximum at -FLT_MAX.
FLT_MAX = float(np.finfo(np.float32).max)
