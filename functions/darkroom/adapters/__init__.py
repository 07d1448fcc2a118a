"""The ports over AWS and Replicate: the only place that imports boto3 or httpx."""
