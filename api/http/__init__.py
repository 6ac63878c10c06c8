"""What all resources share: requests and their bodies, query parameters, pages, ETags and encodings of responses."""
