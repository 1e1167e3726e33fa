"""The figures of a report, one module each, and the tables that list them."""
