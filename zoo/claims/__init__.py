"""What the numbers mean: statistics, published traces, gains, audits, regressions. Runs no net."""
