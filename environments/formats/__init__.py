"""Definitions as files: what each format says, read and written.

Every reader takes bytes that anybody may have made. It answers with a `Read`, or raises
a UserError of one sentence; nothing is installed, fetched or started.
"""
