"""The flavours: one module each, with one class under `register_flavour`."""
