"""The OpenAPI document, the page that tries it, and the bodies that it describes.

The document and its examples are imported when the document is requested.
"""
