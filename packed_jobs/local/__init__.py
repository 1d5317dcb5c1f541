"""Lanes on this machine: worker processes that each own a GPU or some cores."""
