"""What is watched: promises, drift, metrics. Empty in this version."""
