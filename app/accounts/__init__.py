"""What was used, kept: the instance's counts in a database, and what people are told of them."""
