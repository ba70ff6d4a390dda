"""What the evidence says: statistics, published traces, claims, gains over a baseline, regressions."""
