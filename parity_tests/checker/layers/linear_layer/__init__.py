"""What a linear layer and its loss have to give together."""
