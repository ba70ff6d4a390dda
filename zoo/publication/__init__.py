"""A model as a folder that one would upload: weights, code, config, labels, licence, model card."""
