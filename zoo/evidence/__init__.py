"""What a run leaves on disk: a result with one row per image; while it is under way, a journal."""
