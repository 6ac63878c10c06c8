"""What the API says of itself: the OpenAPI document, and the pages made from it.

Nothing here is imported before somebody asks for one of them.
"""
