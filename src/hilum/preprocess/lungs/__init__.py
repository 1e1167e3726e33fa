"""Lung masks: the network and thresholds that find them, their check, the steps that use them."""
