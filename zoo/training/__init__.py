"""Dense-Sparse-Dense training beside a fair baseline, and what it gained."""
