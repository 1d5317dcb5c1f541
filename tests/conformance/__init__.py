"""Everything that Keras exports, tried with each engine: alone, in packs, and against a plain Keras loop.

``python -m conformance`` in the folder ``tests`` writes docs/CONFORMANCE.md.
"""
