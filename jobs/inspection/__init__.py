"""What a source holds: its first documents, their fields, and which of them can be merchant, amount or time."""
