"""focal-parity: judges a focal loss that somebody else wrote, in any framework or language."""
