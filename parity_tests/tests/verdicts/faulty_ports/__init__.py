"""Ports that are right but for one fault, with the name of what a report has to say of it.

`values`, `options` and `means` have a function for each, and `fault` what they start from. `FAULTS`
has all by name.
"""

from . import means, options, values
from .fault import FAULTS

# The three modules add their faults to the table.
__all__ = ["FAULTS", "means", "options", "values"]
