"""What a run leaves on disk: its result and one row per image, and the journal of a run under way."""
