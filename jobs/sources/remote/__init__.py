"""Objects of S3 and Google Cloud Storage, and files of HTTP servers, through fsspec."""
