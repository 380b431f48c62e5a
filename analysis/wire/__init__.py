"""How things are said: Ask -> JSON frames and bodies, and back. Pure.

The transports call these modules; nothing here opens a socket, reads a clock or raises on what
a peer sends over a WebSocket.
"""
