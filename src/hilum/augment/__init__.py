"""Augmentation: parameters are sampled, then applied; copies made before training."""
