"""How losses of any kind are called."""
