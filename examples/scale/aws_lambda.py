"""The demo as a function on AWS Lambda: set the handler to `examples.scale.aws_lambda.handler`.

Nothing streams there: the whole request comes in one event, the whole answer goes out in one dict.
"""

from __future__ import annotations

from mangum import Mangum

from examples.demo import app

# The lifespan would be run round every single event; without it, the demo makes its files on first
# use, and keeps them as long as the function is kept warm.
handler = Mangum(app, lifespan="off")
