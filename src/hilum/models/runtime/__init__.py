"""Networks compiled and run: OpenVINO and torch behind one contract."""
