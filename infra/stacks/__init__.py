"""The two stacks: what must survive a redeployment, and what may be replaced at any time."""
