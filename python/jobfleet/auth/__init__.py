"""Credentials at work: where the Authorization header comes from, and when it is fetched anew.

A class of your own, named by `auth.provider`, hands out the header like this:

    from jobfleet.auth import Authorization

    class Engine:
        def authorization(self) -> Authorization:  # or `async def`
            return Authorization("Bearer " + token, expires_in_s=300)

It is made once, without arguments, in the supervisor. `authorization` is called at the start, ahead of the expiry, and
when the engine refuses the header; `expires_in_s=None` means that only a refusal calls for another one. A plain call
runs in a thread, 30 seconds at most. What it raises is logged, and it is called again after a growing pause.
"""

from jobfleet.auth.authorization import Authorization

__all__ = ["Authorization"]
