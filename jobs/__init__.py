import os

# PyArrow's default allocator crashes if the thread that imported PyArrow has ended, like those that open a source:
# https://github.com/apache/arrow/issues/50471
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
