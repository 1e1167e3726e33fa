"""From images as their publishers lay them out to manifests, splits and prepared pixels."""
