"""One module per Lambda function: each parses its event, calls one service, maps the result."""
