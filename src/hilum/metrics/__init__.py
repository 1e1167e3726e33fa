"""What a classifier's predictions are worth: figures, their intervals, thresholds, calibration."""
