"""How gunicorn serves the API: its worker, what it refuses by itself, how a person starts it."""
