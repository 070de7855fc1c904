"""The portals of the world on loopback, with the interfaces of the real ones.

Written from what the portals document, and from nothing of ours that reads them: a client that works here was tested
against another author's understanding.
"""

from megabase.simulate.portals.server import serve

__all__ = ["serve"]
