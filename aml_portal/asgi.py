"""The portal as an ASGI application: pages over HTTP, live notices over sockets."""

import os

import django
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aml_portal.settings")
django.setup(set_prefix=False)

# Imported after Django is set up, since they use models.
from aml_portal.bodies import Pages  # noqa: E402
from runs.live import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": Pages(),
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
        ),
    }
)
