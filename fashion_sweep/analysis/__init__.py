"""From run folders to tables, curves and a page. Reads runs through ``run_dir`` alone and never imports TensorFlow."""
