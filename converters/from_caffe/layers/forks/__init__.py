"""The layer types that only forks of Caffe have: one module per family."""
