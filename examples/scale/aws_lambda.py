"""The demo on AWS Lambda: set the handler to `examples.scale.aws_lambda.handler`.

Lambda does not stream: one event has the whole request, and one dict the whole response.
"""

from __future__ import annotations

from mangum import Mangum

from examples.demo import app

# Mangum runs the lifespan for each event. Without it, the demo creates its files on first use and
# keeps them while the function is warm.
handler = Mangum(app, lifespan="off")
