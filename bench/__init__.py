"""What Darkroom costs in time, bytes and calls, measured: `python -m bench [names…]`."""
