"""A trained model in use: its folder, predictions, out-of-distribution detection."""
