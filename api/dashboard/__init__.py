"""The dashboard at `/`: hand-written HTML, CSS and JavaScript modules, and the chart library made for them."""
