"""The demo on a cluster by Ray Serve: replicas on any machine, one proxy on each.

pip install 'ray[serve]'
serve run examples.scale.ray_serve:demo
"""

from __future__ import annotations

from ray import serve  # type: ignore[import-not-found,unused-ignore] # a cluster has it

from examples.demo import app


class Demo:
    """The app as it is: Ray calls it with the scopes of the requests."""


# The same as two decorators of Ray's, in a form that type checkers can follow.
deployment = serve.deployment(serve.ingress(app)(Demo), num_replicas=2, max_ongoing_requests=100)
demo = deployment.bind()
