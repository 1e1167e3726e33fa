"""The library below the command line: a trained model in use, and whole jobs as functions."""
