"""Programs that read Caffe and Torch7 files with functions that are gone, and what takes their place."""
