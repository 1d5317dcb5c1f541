"""From tables of runs to figures, pages and text."""
