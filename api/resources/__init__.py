"""One module a resource: HTTP in, a call of `api.reading`, HTTP out."""
