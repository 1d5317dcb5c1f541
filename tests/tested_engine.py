"""The engine that this process tests; it can have no other, as Keras reads its backend once."""

from __future__ import annotations

import os

ENGINE = os.environ.get("TESTED_ENGINE", "tensorflow")
"""``test_jax_engine`` runs the tests of engines with JAX."""
