"""A model next to a DICOM archive: films come in, results go back, nothing is lost between."""
