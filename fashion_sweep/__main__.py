"""``python -m fashion_sweep``."""

from fashion_sweep.app import main

if __name__ == "__main__":
    main()
