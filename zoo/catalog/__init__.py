"""What is known about models beforehand: manifests, the catalog of them, what a converted form carries."""
