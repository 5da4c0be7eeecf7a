"""A matrix of its own in front of the shared module for each task, so that the module sees covariances that are alike."""
