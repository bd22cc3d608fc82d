"""The tests, and the servers and clients that they are made with."""
