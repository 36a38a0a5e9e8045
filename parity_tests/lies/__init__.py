"""Ports that are right but for one lie, made by a program: `python -m parity_tests.lies`."""
