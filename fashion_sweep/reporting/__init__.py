"""From data frames of runs to figures, pages and text."""
