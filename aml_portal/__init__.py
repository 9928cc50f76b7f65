"""The wiring of the portal: settings, URLs, ASGI, sign-in, and `serve`."""
