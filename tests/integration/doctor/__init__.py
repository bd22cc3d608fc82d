"""The doctor, in front of deployments with one planted fault each."""
