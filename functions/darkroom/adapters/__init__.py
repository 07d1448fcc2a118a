"""The ports over AWS and Replicate: the only place that imports botocore or httpx."""
