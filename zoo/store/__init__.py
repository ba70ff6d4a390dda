"""The cache on disk: files by content, the index of them, and the converted forms kept beside them."""
