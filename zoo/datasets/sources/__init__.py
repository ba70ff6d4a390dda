"""The kinds of places that hold images: one module each, with one class under `register_source`.

The command line imports these modules for its help, so they import numpy, pydantic and pyarrow only inside
functions.
"""
