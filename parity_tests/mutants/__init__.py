"""Faults planted into the packages, one at a time, to see whether the tests notice."""
