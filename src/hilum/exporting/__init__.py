"""A trained model as a file of ONNX or OpenVINO, with the proof that it answers alike.

The package is not called `export`: `hilum.export` is the function.
"""
