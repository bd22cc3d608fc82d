"""The container image, built and run as it will run: `make image-test`."""
