"""The HTTP side: the technician's phone page and the API. Thin: parse, call app, render."""
