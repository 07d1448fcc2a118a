"""An emulator of Replicate: HTTP API, signed webhooks, output host, pictures, faults on demand.

`python -m emulator --port 8788` serves it; `server.running()` serves it inside a test.
"""
