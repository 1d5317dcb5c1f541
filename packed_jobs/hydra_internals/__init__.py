"""All uses of Hydra's and OmegaConf's private names, so that a new version has one place to look at."""
