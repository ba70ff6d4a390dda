"""The cache on disk: files by content, their index, and the converted nets."""
