"""Functions that a generated file carries along when it uses them.

Each is copied into the file as it stands here, with those of its siblings that it
calls. So they use nothing but torch, `F` and each other.
"""
