"""Explanations: heat maps of what speaks for a class, how they are drawn, and whether they hold."""
