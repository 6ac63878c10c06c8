"""The dashboard at `/`: hand-written HTML, CSS and JavaScript modules."""
