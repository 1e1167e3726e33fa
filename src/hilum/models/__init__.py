"""Backbones, their weights, and the executor that turns prepared pixels into features."""
