"""This builder beside the others on the machine: the same work, medians, ratios. Measures, asserts nothing."""
