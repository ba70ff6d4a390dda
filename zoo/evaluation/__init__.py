"""Images through nets, counted: jobs, variants, sessions, batches, several processes, benchmarks."""
