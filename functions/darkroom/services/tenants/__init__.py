"""Authentication, rate limits, budgets and usage of tenants."""
