"""How memory, time and program size grow."""
