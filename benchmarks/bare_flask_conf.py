"""gunicorn's settings for the bare view: its own gevent worker, otherwise as the gateway's."""

import os

bind = f"127.0.0.1:{os.environ['PORT']}"
worker_class = "gevent"
worker_connections = 2000
keepalive = 620
http_parser = "python"
control_socket_disable = True
