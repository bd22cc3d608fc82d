"""What the gateway is made of: locks, lists and known vulnerabilities."""
