"""Where configs find cross-validation: this dotted name is part of the identity of every run that it trained."""

from fashion_sweep.training.cross_validation import CrossValidation

cross_validation = CrossValidation  # the name in conf/
