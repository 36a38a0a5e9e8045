"""The judge of both packages: an oracle, golden vectors, comparators, and the tests that use
them."""
