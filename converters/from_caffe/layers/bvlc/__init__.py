"""The layer types of BVLC Caffe, forks' additional parameters included: one module per family."""
