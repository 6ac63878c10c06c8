"""The OpenAPI document, the page that tries it, and the bodies that it describes.

Except for the bodies nothing here is imported before somebody asks for the document.
"""
