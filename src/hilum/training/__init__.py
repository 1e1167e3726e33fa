"""Fitting heads on cached features and networks on pixels."""
