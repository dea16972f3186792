"""Makes the pages that are not written by hand (knobs, gallery, lessons, API) out of registries and docstrings."""
