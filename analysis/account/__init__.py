"""What is known of an account across runs and processes: learned limits, and leases on its rate."""
