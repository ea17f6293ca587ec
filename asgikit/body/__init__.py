"""The body of a request: its receiver, the sharing between requests, and content decoding."""
