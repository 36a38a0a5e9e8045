"""How a loss is called in each framework, which is imported when it is first asked for."""
