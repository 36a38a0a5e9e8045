"""What makes the tables of the pages and runs their code."""
