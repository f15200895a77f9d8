"""Shapes of requests and answers (marshmallow), one subject a file."""
