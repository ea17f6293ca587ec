"""The demo on a cluster with Ray Serve: replicas on any machine, one proxy on each.

pip install 'ray[serve]'
serve run examples.scale.ray_serve:demo
"""

from __future__ import annotations

from ray import serve  # type: ignore[import-not-found,unused-ignore] # installed on the cluster

from examples.demo import app


class Demo:
    """The deployment; Ray Serve calls the unchanged app."""


# The same as the decorators of Ray Serve, in a form that type checkers understand.
deployment = serve.deployment(num_replicas=2, max_ongoing_requests=100)
demo = deployment(serve.ingress(app)(Demo)).bind()
