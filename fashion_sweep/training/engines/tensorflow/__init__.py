"""The TensorFlow engine: whole epochs of a pack as one XLA program."""
