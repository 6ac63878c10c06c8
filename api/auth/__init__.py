"""Authentication and scopes: API keys, sessions of browsers, and what a caller may do."""
