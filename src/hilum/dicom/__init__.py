"""Results of a model as DICOM objects, in the study of the film that they are about."""
