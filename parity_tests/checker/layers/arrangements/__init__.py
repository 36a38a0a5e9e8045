"""The same elements in other calls: each has to have the same loss and gradient."""
