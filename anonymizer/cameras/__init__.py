"""What a live run is told: cameras.yaml and flags, checked once; addresses, secrets, and where servers may listen."""
