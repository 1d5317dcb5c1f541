"""From run folders to data frames and statistics. Reads runs through ``run_dir`` alone and never imports TensorFlow."""
