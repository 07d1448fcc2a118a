"""The stacks: data that must survive a redeployment, and parts that may be replaced at any time."""
