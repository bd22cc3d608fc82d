"""How fast the gateway is, beside other proxies that are measured in the same run."""
