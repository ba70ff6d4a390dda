"""What the zoo knows about models: their manifests, the catalog, and the metadata of converted nets."""
