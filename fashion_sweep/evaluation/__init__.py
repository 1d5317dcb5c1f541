"""A trained run's model again: loaded, measured on images, asked about new ones."""
