"""Loads a trained run's model, measures it on images and classifies new ones."""
